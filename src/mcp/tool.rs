//! Tools as a server describes them, and what they answer.

use crate::limits::{
    MCP_DESCRIPTION_BYTES_MAX, MCP_IMAGE_BYTES_MAX, MCP_SCHEMA_BYTES_MAX, TOOL_RESULT_BYTES_MAX,
};
use serde_json::{Value, json};

/// One tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// As the server calls it.
    pub name: String,
    pub description: String,
    /// The JSON Schema of its arguments.
    pub schema: String,
}

/// What a tool answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    pub text: String,
    /// For programs, as JSON text.
    pub details: Option<String>,
    pub picture: Option<Picture>,
    pub is_error: bool,
}

/// A picture in an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    pub media_type: &'static str,
    /// Base64.
    pub data: String,
}

/// What models take as pictures.
const PICTURES: &[&str] = &["image/png", "image/jpeg", "image/webp", "image/gif"];

impl Tool {
    /// Reads one entry of a list. None for one that cannot be used.
    pub(super) fn read(entry: &Value) -> Option<Self> {
        let name = entry["name"].as_str().filter(|name| !name.is_empty())?;
        let told = entry["description"].as_str().or(entry["title"].as_str());
        let schema = match &entry["inputSchema"] {
            schema if schema["type"] == "object" => {
                let mut schema = schema.clone();
                if !schema["properties"].is_object() {
                    // Some providers refuse a schema without them.
                    schema["properties"] = json!({});
                }
                schema.to_string()
            }
            _ => return None,
        };
        (schema.len() <= MCP_SCHEMA_BYTES_MAX).then(|| Self {
            name: name.to_owned(),
            description: cut(told.unwrap_or(name), MCP_DESCRIPTION_BYTES_MAX).to_owned(),
            schema,
        })
    }
}

impl Answer {
    /// Reads the result of `tools/call`: texts one after the other, the first picture, and for
    /// all else what is left out.
    pub(super) fn read(result: &Value) -> Self {
        let mut answer = Self {
            is_error: result["isError"] == true,
            ..Self::default()
        };
        let blocks = result["content"].as_array().map_or(&[][..], Vec::as_slice);
        for block in blocks {
            let shown = answer.take(block);
            if !answer.text.is_empty() && !shown.is_empty() {
                answer.text.push('\n');
            }
            answer.text.push_str(&shown);
            // What is longer is cut anyway; this bounds what a million blocks make.
            if answer.text.len() > 2 * TOOL_RESULT_BYTES_MAX {
                break;
            }
        }
        let structured = &result["structuredContent"];
        if structured.is_object() {
            let json = structured.to_string();
            if answer.text.is_empty() {
                answer.text.clone_from(&json);
            }
            answer.details = Some(json);
        }
        answer
    }

    fn take(&mut self, block: &Value) -> String {
        let uri = || block["uri"].as_str().or(block["resource"]["uri"].as_str());
        match block["type"].as_str().unwrap_or("") {
            "text" => block["text"].as_str().unwrap_or("").to_owned(),
            "image" => self.take_picture(block),
            "resource" => match block["resource"]["text"].as_str() {
                Some(text) => text.to_owned(),
                None => format!("[a resource is not shown: {}]", uri().unwrap_or("?")),
            },
            "resource_link" => format!("[resource: {}]", uri().unwrap_or("?")),
            kind => format!("[something of the kind {kind:?} is not shown]"),
        }
    }

    fn take_picture(&mut self, block: &Value) -> String {
        let media_type = block["mimeType"].as_str().unwrap_or("");
        let known = PICTURES.iter().find(|known| **known == media_type);
        match (known, block["data"].as_str()) {
            (Some(_), _) if self.picture.is_some() => "[a further picture is not shown]".into(),
            (Some(media_type), Some(data)) if data.len() <= MCP_IMAGE_BYTES_MAX => {
                self.picture = Some(Picture {
                    media_type,
                    data: data.to_owned(),
                });
                format!("[a picture, {media_type}]")
            }
            (Some(_), Some(_)) => "[a picture that is too large is not shown]".into(),
            _ => format!("[a picture of the kind {media_type:?} is not shown]"),
        }
    }
}

/// The start of a text, whole characters.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len())).rfind(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_needs_a_name_and_a_schema_of_an_object() {
        let good = json!({"name": "add", "inputSchema": {"type": "object"}});
        let tool = Tool::read(&good).unwrap();
        assert_eq!(
            (tool.name.as_str(), tool.description.as_str()),
            ("add", "add")
        );
        assert_eq!(tool.schema, r#"{"type":"object","properties":{}}"#);
        for bad in [
            json!({"name": "", "inputSchema": {"type": "object"}}),
            json!({"name": "x"}),
            json!({"name": "x", "inputSchema": {"type": "string"}}),
            json!({"name": "x", "inputSchema": {"type": "object",
                "title": "x".repeat(MCP_SCHEMA_BYTES_MAX)}}),
        ] {
            assert_eq!(Tool::read(&bad), None);
        }
    }

    #[test]
    fn an_answer_is_its_texts_its_first_picture_and_words_for_the_rest() {
        let picture = json!({"type": "image", "mimeType": "image/png", "data": "AAAA"});
        let answer = Answer::read(&json!({"isError": true, "content": [
            {"type": "text", "text": "one"}, picture, picture,
            {"type": "audio", "data": "x"},
            {"type": "resource_link", "uri": "file:///a"},
        ], "structuredContent": {"sum": 3}}));
        assert!(answer.is_error);
        assert_eq!(answer.picture.unwrap().data, "AAAA");
        assert_eq!(answer.details.unwrap(), r#"{"sum":3}"#);
        let lines: Vec<&str> = answer.text.lines().collect();
        assert_eq!(lines.len(), 5);
        assert!(lines[2].contains("further") && lines[3].contains("audio"));
        let large = json!({"type": "image", "mimeType": "image/png",
            "data": "A".repeat(MCP_IMAGE_BYTES_MAX + 1)});
        assert_eq!(Answer::read(&json!({"content": [large]})).picture, None);
        assert_eq!(Answer::read(&json!({"content": 7})), Answer::default());
        let long =
            json!({"content": vec![json!({"type": "text", "text": "x".repeat(1000)}); 1000]});
        assert!(Answer::read(&long).text.len() < 3 * TOOL_RESULT_BYTES_MAX);
    }
}
