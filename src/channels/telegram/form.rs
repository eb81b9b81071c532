//! `multipart/form-data` (RFC 7578) of a call that brings a file.

use crate::channels::File;
use serde_json::Value;

/// A body and what its boundary is.
pub struct Form {
    pub content_type: String,
    pub body: Vec<u8>,
}

/// The parameters as fields, and the file as `field`.
pub fn write(params: &Value, field: &str, file: &File) -> Form {
    let boundary = boundary(&file.bytes);
    let mut body = Vec::with_capacity(file.bytes.len() + 4 * 1_024);
    for (name, value) in params.as_object().into_iter().flatten() {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let head =
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(text.as_bytes());
        body.extend_from_slice(b"\r\n");
    }
    let name: String = file
        .name
        .chars()
        .filter(|c| !c.is_control() && !"\"\\".contains(*c))
        .collect();
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(&file.bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    Form {
        content_type: format!("multipart/form-data; boundary={boundary}"),
        body,
    }
}

/// A line that is not in the file: of a hash of it, which no file holds of itself by chance.
fn boundary(bytes: &[u8]) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, bytes);
    let hex: String = hash.as_ref()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("clawdia-{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_and_file_are_parts_and_a_name_cannot_add_any() {
        let file = File {
            name: "a\"\r\n.txt".into(),
            bytes: b"hello".as_slice().into(),
            is_document: true,
        };
        let form = write(&json!({"chat_id": 7, "caption": "x"}), "document", &file);
        let text = String::from_utf8(form.body).unwrap();
        let boundary = form.content_type.split_once("boundary=").unwrap().1;
        let parts: Vec<&str> = text.split(&format!("--{boundary}")).collect();
        assert_eq!(parts.len(), 5);
        assert!(parts[2].ends_with("name=\"caption\"\r\n\r\nx\r\n") || parts[1].contains("7"));
        assert!(parts[3].contains("name=\"document\"; filename=\"a.txt\"\r\n"));
        assert!(parts[3].ends_with("\r\n\r\nhello\r\n"));
        assert_eq!(parts[4], "--\r\n");
    }
}
