//! The 16-byte form of a message GUID, by which an mdbox finds messages again.

use sha1::{Digest, Sha1};

use crate::format::dovecot_index::Index;

/// The index extension that holds it.
pub const GUIDS: &str = "guid";

/// That of the `nth` message, where the index has it; zeros are none.
pub fn indexed_guid(index: &Index, nth: usize) -> Option<[u8; 16]> {
    let guid = index.extension(GUIDS)?.record(nth);
    let guid = <[u8; 16]>::try_from(guid).ok()?;
    (guid != [0; 16]).then_some(guid)
}

/// 32 hex digits are those 16 bytes; any other text is the end of its SHA-1.
///
/// Source: Dovecot 2.3, `src/lib-mail/mail-types.h` and `mail_generate_guid_128_hash`.
pub fn guid_128(guid: &[u8]) -> [u8; 16] {
    let hex = data_encoding::HEXLOWER_PERMISSIVE.decode(guid).ok();
    if let Some(bytes) = hex.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()) {
        return bytes;
    }
    let mut short = [0; 16];
    short.copy_from_slice(&Sha1::digest(guid)[4..]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_shortened_as_dovecot_does() {
        let hex = |guid: &str| data_encoding::HEXLOWER.encode(&guid_128(guid.as_bytes()));
        assert_eq!(
            hex("1500000060.M1P2.host"),
            "cec42c621216ea704dc31bfec7e0f67a"
        );
        let own = "101112131415161718191a1b1c1d1e1f";
        assert_eq!(hex(own), own);
        assert_eq!(hex(&own.to_uppercase()), own);
        assert_ne!(hex(&own[..30]), own[..30]);
    }
}
