//! The dbox file: what one `u.<uid>` (sdbox) or `m.<n>` (mdbox) holds.
//!
//! ```text
//! "2 M1e C68e0a3b1" LF                  file header: version, message header size, created (hex)
//! +-- one message; repeated in mdbox -----------------------------------------------------+
//! | 01 02 'N' ...  size (16 hex) LF     message header, 30 bytes                          |
//! | body                                exactly `size` bytes                              |
//! | LF 01 03 LF                         metadata begins                                   |
//! | 'R' received LF ... 'G' guid LF     one key a line; unknown keys are kept             |
//! | LF                                  metadata ends                                     |
//! +---------------------------------------------------------------------------------------+
//! ```
//! Source: Dovecot 2.3, `src/lib-storage/index/dbox-common/dbox-file.h`.
//! Not supported: `X` (external attachments); reported as `dbox.external-attachment`.

mod layout;
mod metadata;

pub use layout::{
    FileHeader, MESSAGE_HEADER, METADATA_MAGIC, file_header, message_header, read_message_header,
};
pub use metadata::{Key, Metadata};
