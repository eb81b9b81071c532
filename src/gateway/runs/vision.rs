//! Pictures reach a model that reads them; any other one is told that there are some.

use crate::agent::{ChatMessage, ModelRef, Speaker};
use crate::gateway::Gateway;
use crate::gateway::method::models::BUILTIN;

impl Gateway {
    /// Whether a model reads pictures: what its entry says, else what its makers' own models do.
    pub(in crate::gateway) fn reads_pictures(&self, model: &ModelRef) -> bool {
        let entry = self.model_config(model);
        match entry.filter(|entry| !entry.input.is_empty()) {
            Some(entry) => entry.input.iter().any(|it| it == "image"),
            None => matches!(model.provider(), "anthropic" | "openai"),
        }
    }

    /// Leaves out what the model cannot read, and says so in the message that it came with.
    pub(super) fn show_pictures(&self, model: &ModelRef, messages: &mut [ChatMessage]) {
        if self.reads_pictures(model) {
            return;
        }
        for message in messages.iter_mut().filter(|it| !it.images.is_empty()) {
            let count = message.images.len();
            let what = if count == 1 { "picture" } else { "pictures" };
            message.images.clear();
            // The built-in agent reads results as programs do.
            if matches!(message.speaker, Speaker::Tool(_)) && model.provider() == BUILTIN.0 {
                continue;
            }
            message.text = format!(
                "{}\n[{count} {what} came with this, which you cannot see: {model} reads none]",
                message.text
            )
            .trim_start()
            .into();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::driver::{Driver, Options, Steps};
    use serde_json::{Value, json};

    const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

    fn driver(model: &str) -> Driver {
        let provider = "baseUrl: 'http://127.0.0.1:1/v1', models: [{id: 'sees', input: ['text', 'image']}, {id: 'blind'}]";
        Driver::new(Options {
            config: format!(
                "{{ models: {{ providers: {{ my: {{ {provider} }} }} }}, \
                 agents: {{ defaults: {{ model: {{ primary: 'my/{model}' }} }} }} }}"
            ),
            steps: Steps::Held,
            ..Options::default()
        })
    }

    fn look(method: &str) -> Value {
        let picture =
            json!({"type": "image", "mimeType": "image/png", "fileName": "a.png", "content": PNG});
        let note = json!({"mimeType": "text/plain", "fileName": "n.txt", "content": "aGk="});
        let mut params = json!({"sessionKey": "main", "message": "stop", "idempotencyKey": method});
        params["attachments"] = json!([picture, note]);
        params
    }

    #[test]
    fn a_picture_is_stored_with_its_message_shown_to_a_model_that_sees_and_in_the_history() {
        for method in ["chat.send", "agent"] {
            let mut driver = driver("sees");
            let operator = driver.operator();
            // Not the word to stop: something comes with it.
            driver.request(operator, method, look(method));
            driver.settle();
            // Accepted and not answered: the next process shows it again.
            let mut driver = driver.crash(0);
            driver.settle();
            let step = &driver.steps[0];
            let asked = step.messages.last().unwrap();
            assert_eq!(
                &*asked.text,
                "stop\n\n[file \"n.txt\"]\nhi\n[end of the file]"
            );
            assert_eq!((asked.images.len(), &*asked.images[0].data), (1, PNG));
            let operator = driver.operator();
            let history = driver.ok(operator, "chat.history", json!({"sessionKey": "main"}));
            let shown = &history["messages"][0]["content"][1];
            let source = json!({"type": "base64", "media_type": "image/png", "data": PNG});
            assert_eq!(shown, &json!({"type": "image", "source": source}));
        }
    }

    #[test]
    fn a_model_that_does_not_see_is_told_that_there_was_something() {
        let mut driver = driver("blind");
        let operator = driver.operator();
        driver.request(operator, "chat.send", look("k"));
        driver.settle();
        let asked = driver.steps[0].messages.last().unwrap();
        assert!(asked.images.is_empty());
        assert!(
            asked
                .text
                .ends_with("[1 picture came with this, which you cannot see: my/blind reads none]")
        );
    }
}
