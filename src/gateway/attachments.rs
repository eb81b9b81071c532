//! What comes with a message besides its text: pictures for the model, and texts that are read with
//! it. What can be neither is refused, never dropped.

use crate::agent::Image;
use crate::limits::{
    ATTACHED_TEXT_BYTES_MAX, ATTACHMENTS_MAX, PICTURE_BYTES_MAX, PICTURES_BYTES_MAX,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The kinds of pictures that models read, by how a file begins.
pub fn picture_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        _ => None,
    }
}

/// What a message brings along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    pub images: Vec<Image>,
    /// Goes behind the message's own text.
    pub text: String,
    len: usize,
    images_bytes: usize,
}

impl Attached {
    /// Takes one thing: Base64, maybe as a data URL. `kind` is what its sender calls it.
    ///
    /// # Errors
    ///
    /// Why it is not taken, for its sender.
    pub fn add(&mut self, name: &str, kind: &str, content: &str) -> Result<(), String> {
        let content = content.trim();
        let content = content
            .strip_prefix("data:")
            .and_then(|it| it.split_once(";base64,"))
            .map_or(content, |(_, data)| data);
        // Base64 is a third longer than what it stands for.
        if content.len() / 4 * 3 > PICTURE_BYTES_MAX + 2 {
            return Err(format!(
                "attachment {name}: exceeds size limit ({PICTURE_BYTES_MAX} bytes)"
            ));
        }
        let bytes = STANDARD.decode(content);
        let bytes = bytes.map_err(|_| format!("attachment {name}: invalid base64 content"))?;
        self.add_bytes(name, kind, &bytes)
    }

    /// The same of bytes.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn add_bytes(&mut self, name: &str, kind: &str, bytes: &[u8]) -> Result<(), String> {
        self.len += 1;
        if self.len > ATTACHMENTS_MAX {
            return Err(format!(
                "a message has at most {ATTACHMENTS_MAX} attachments"
            ));
        }
        if bytes.is_empty() || bytes.len() > PICTURE_BYTES_MAX {
            let len = bytes.len();
            return Err(format!(
                "attachment {name}: exceeds size limit ({len} > {PICTURE_BYTES_MAX} bytes)"
            ));
        }
        if let Some(media_type) = picture_type(bytes) {
            self.images_bytes += bytes.len();
            if self.images_bytes > PICTURES_BYTES_MAX {
                return Err(format!(
                    "the pictures of a message have at most {PICTURES_BYTES_MAX} bytes together"
                ));
            }
            let data = STANDARD.encode(bytes).into();
            self.images.push(Image { media_type, data });
            return Ok(());
        }
        let Some(text) = text_of(kind, bytes) else {
            return Err(format!(
                "attachment {name}: {kind} is not read here: send a picture (png, jpeg, gif, webp) \
                 or a text"
            ));
        };
        let room = ATTACHED_TEXT_BYTES_MAX.saturating_sub(self.text.len());
        let end = (0..=room.min(text.len())).rfind(|at| text.is_char_boundary(*at));
        let (shown, rest) = text.split_at(end.unwrap_or(0));
        let cut = if rest.is_empty() {
            ""
        } else {
            "\n[… the rest is left out]"
        };
        let name: String = name.chars().filter(|c| !c.is_control()).collect();
        self.text += &format!("\n\n[file {name:?}]\n{shown}{cut}\n[end of the file]");
        Ok(())
    }
}

/// A file as text, where it is one.
fn text_of<'a>(kind: &str, bytes: &'a [u8]) -> Option<&'a str> {
    let kind = kind.split(';').next().unwrap_or("").trim();
    let is_text = kind.starts_with("text/")
        || [
            "",
            "file",
            "application/json",
            "application/xml",
            "application/yaml",
            "application/toml",
            "application/x-yaml",
            "application/javascript",
            "application/x-sh",
            "application/octet-stream",
        ]
        .contains(&kind);
    let text = std::str::from_utf8(bytes).ok().filter(|_| is_text)?;
    (!text.contains('\0')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

    #[test]
    fn pictures_are_known_by_their_bytes_and_texts_are_read() {
        let mut it = Attached::default();
        it.add("a", "application/pdf", PNG).unwrap();
        it.add("b", "", &format!("data:image/jpeg;base64,{PNG}"))
            .unwrap();
        assert_eq!(it.images.len(), 2);
        assert_eq!(it.images[0].media_type, "image/png");
        assert_eq!(&*it.images[1].data, PNG);
        it.add("n\n.txt", "text/plain", &STANDARD.encode("one\ntwo"))
            .unwrap();
        assert_eq!(it.text, "\n\n[file \"n.txt\"]\none\ntwo\n[end of the file]");
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_bounds_hold() {
        let add = |kind: &str, content: &str| Attached::default().add("x", kind, content);
        assert_eq!(
            add("image/png", "!!!").unwrap_err(),
            "attachment x: invalid base64 content"
        );
        assert!(add("image/png", "").unwrap_err().contains("size limit"));
        let pdf = STANDARD.encode("%PDF-1.4\n");
        assert!(
            add("application/pdf", &pdf)
                .unwrap_err()
                .contains("is not read here")
        );
        let zeros = STANDARD.encode([0u8; 4]);
        assert!(add("text/plain", &zeros).is_err());
        let long = STANDARD.encode(vec![b'x'; PICTURE_BYTES_MAX + 1]);
        assert!(add("text/plain", &long).unwrap_err().contains("size limit"));
        let mut it = Attached::default();
        let mut big = vec![0u8; PICTURE_BYTES_MAX];
        big[..3].copy_from_slice(&[0xff, 0xd8, 0xff]);
        it.add_bytes("a", "", &big).unwrap();
        assert!(
            it.add_bytes("b", "", &big)
                .unwrap_err()
                .contains("together")
        );
        let mut it = Attached::default();
        for _ in 0..ATTACHMENTS_MAX {
            it.add_bytes("t", "text/plain", "ä".repeat(40_000).as_bytes())
                .unwrap();
        }
        assert!(it.text.len() < ATTACHED_TEXT_BYTES_MAX + 100 * ATTACHMENTS_MAX);
        assert!(it.add_bytes("t", "", b"x").is_err());
    }
}
