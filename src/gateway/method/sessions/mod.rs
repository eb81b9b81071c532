//! `sessions.*`: the list of chat sessions and what may be changed about one.

mod lifecycle;
mod list;
mod patch;
mod preview;
mod resolve;
mod rows;

pub use lifecycle::{compact, delete, reset};
pub use list::list;
pub use patch::patch;
pub use preview::preview;
pub use resolve::resolve;

#[cfg(test)]
mod testing {
    use crate::driver::Driver;
    use crate::ids::ConnId;
    use serde_json::{Value, json};

    /// A gateway and an operator with every scope.
    pub fn start() -> (Driver, ConnId) {
        let mut driver = Driver::default();
        let operator = driver.operator();
        (driver, operator)
    }

    /// Makes a session with these messages in its transcript.
    pub fn fill(driver: &mut Driver, operator: ConnId, key: &str, texts: &[&str]) {
        driver.ok(operator, "sessions.patch", json!({"key": key}));
        for text in texts {
            let params = json!({"sessionKey": key, "message": text});
            driver.ok(operator, "chat.inject", params);
        }
    }

    /// The texts of a transcript, oldest first.
    pub fn texts(driver: &mut Driver, operator: ConnId, key: &str) -> Vec<String> {
        let history = driver.ok(operator, "chat.history", json!({"sessionKey": key}));
        let rows = history["messages"].as_array().cloned().unwrap_or_default();
        let text = |row: &Value| row["content"][0]["text"].as_str().unwrap_or("").to_owned();
        rows.iter().map(text).collect()
    }

    /// The message of a refusal with code INVALID_REQUEST.
    pub fn refusal(driver: &mut Driver, operator: ConnId, method: &str, params: Value) -> String {
        let error = driver.err(operator, method, params);
        assert_eq!(error["code"], "INVALID_REQUEST", "{error}");
        error["message"].as_str().unwrap_or("").to_owned()
    }
}
