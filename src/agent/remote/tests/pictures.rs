//! Pictures in requests.

use super::*;

#[test]
fn pictures_are_shown_in_the_words_of_each_protocol() {
    let image = crate::agent::Image {
        media_type: "image/png",
        data: "AAAA".into(),
    };
    let with = |api| {
        let mut step = step(api, "http://127.0.0.1:1");
        step.messages[2].images = vec![image.clone()];
        step.messages[3].images = vec![image.clone()];
        let endpoint = step.endpoint.clone().unwrap();
        match api {
            Api::OpenAiCompletions => OpenAi::body(&step, &endpoint),
            Api::AnthropicMessages => Anthropic::body(&step, &endpoint),
        }
    };
    let body = with(Api::OpenAiCompletions);
    let shown = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}});
    // Results stand alone; their pictures follow behind them.
    assert_eq!(body["messages"][3]["content"], "nobody");
    assert_eq!(
        body["messages"][4],
        json!({"role": "user", "content": [shown]})
    );
    assert_eq!(
        body["messages"][5]["content"],
        json!([{"type": "text", "text": "sure?"}, shown])
    );
    let body = with(Api::AnthropicMessages);
    let source = json!({"type": "base64", "media_type": "image/png", "data": "AAAA"});
    let shown = json!({"type": "image", "source": source});
    let said = body["messages"][2]["content"].clone();
    assert_eq!(
        said[0]["content"],
        json!([{"type": "text", "text": "nobody"}, shown])
    );
    assert_eq!(said[2], shown);
}
