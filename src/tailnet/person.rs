//! Who is behind an address of the tailnet: what the daemon's `whois` says.

use serde_json::Value;

/// A person of the tailnet, at a machine that is nobody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The login name, such as `me@example.com`.
    pub login: String,
}

impl Person {
    /// Reads an answer of `/localapi/v0/whois` (apitype.WhoIsResponse). A tagged machine belongs
    /// to no person, whatever login stands beside it.
    pub fn read(answer: &str) -> Option<Self> {
        let answer: Value = serde_json::from_str(answer).ok()?;
        let tags = &answer["Node"]["Tags"];
        let is_tagged = !tags.is_null() && tags.as_array().is_none_or(|tags| !tags.is_empty());
        let login = answer["UserProfile"]["LoginName"].as_str()?.trim();
        if is_tagged || login.is_empty() || !answer["Node"].is_object() {
            return None;
        }
        Some(Self {
            login: login.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Person;

    #[test]
    fn a_person_is_somebody_with_a_login_at_an_untagged_machine() {
        let login = |text: &str| Person::read(text).map(|person| person.login);
        let good = r#"{"Node":{"ID":1,"Name":"phone.tail1234.ts.net."},
            "UserProfile":{"ID":2,"LoginName":"me@example.com","DisplayName":"Me"},"CapMap":null}"#;
        assert_eq!(login(good).as_deref(), Some("me@example.com"));
        let no_tags = good.replace("\"ID\":1", "\"ID\":1,\"Tags\":[]");
        assert_eq!(login(&no_tags).as_deref(), Some("me@example.com"));
        for text in [
            good.replace("\"ID\":1", "\"ID\":1,\"Tags\":[\"tag:server\"]"),
            good.replace("\"ID\":1", "\"ID\":1,\"Tags\":\"tag:server\""),
            good.replace("me@example.com", ""),
            good.replace("me@example.com", "  "),
            good.replace("\"Node\"", "\"Other\""),
            "no match for IP:port".to_owned(),
            "null".to_owned(),
        ] {
            assert_eq!(login(&text), None, "{text}");
        }
    }
}
