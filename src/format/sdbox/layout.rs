//! Names of an sdbox account.

/// The index extension that holds the mailbox's header.
pub const HEADER: &str = "dbox-hdr";

/// The name of a message's file.
pub fn file_name(uid: u32) -> String {
    format!("u.{uid}")
}

/// The UID in the name of a message's file; the highest number leaves no next UID, and is none.
pub fn uid_of(name: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(name.strip_prefix(b"u.")?).ok()?;
    let canonical = !digits.starts_with(['0', '+']);
    let uid = digits.parse().ok();
    uid.filter(|uid| canonical && *uid < u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_has_a_name_and_the_highest_number_is_no_uid() {
        for uid in [1, 20, u32::MAX - 1] {
            assert_eq!(uid_of(file_name(uid).as_bytes()), Some(uid));
        }
        for name in [
            "u.4294967295",
            "u.4294967296",
            "u.0",
            "u.07",
            "u.+7",
            "u.",
            "7",
        ] {
            assert_eq!(uid_of(name.as_bytes()), None, "{name}");
        }
    }
}
