//! `browser.request`: which node's browser is used, and what comes back.

use super::*;
use clawdia::agent::{Act, Acted};
use clawdia::driver::TOKEN;

const REQUEST: &str = r#"{"method":"get","path":"/tabs","query":{"profile":"work"}}"#;

fn request(scene: &mut Scene) -> String {
    let params = serde_json::from_str(REQUEST).unwrap();
    scene
        .driver
        .request(scene.operator, "browser.request", params)
}

fn refusal(scene: &mut Scene) -> String {
    let params = serde_json::from_str(REQUEST).unwrap();
    let refused = scene.driver.err(scene.operator, "browser.request", params);
    assert_eq!(refused["code"], "UNAVAILABLE");
    message(&refused).to_owned()
}

#[test]
fn the_only_browser_is_asked_and_its_result_is_the_answer() {
    let mut scene = Scene::new(&["browser.proxy"]);
    let id = request(&mut scene);
    let asked = scene.asked();
    assert_eq!(asked["command"], "browser.proxy");
    let told: Value = serde_json::from_str(asked["paramsJSON"].as_str().unwrap()).unwrap();
    let expected = json!({"method": "GET", "path": "/tabs", "query": {"profile": "work"},
        "profile": "work"});
    assert_eq!(told, expected);
    scene.answer(
        &asked,
        &json!({"result": {"tabs": []}, "files": [{"path": "/a"}]}),
    );
    let answer = scene.response(&id).unwrap();
    assert_eq!(
        answer["payload"],
        json!({"tabs": [], "files": [{"path": "/a"}]})
    );
    let id = request(&mut scene);
    let asked = scene.asked();
    scene.answer(&asked, &json!("no result"));
    let answer = scene.response(&id).unwrap();
    assert_eq!(message(&answer["error"]), "browser proxy failed");
}

#[test]
fn one_of_several_has_to_be_named() {
    let mut scene = Scene::new(&["browser.proxy"]);
    let other = Device::new(8);
    let other_node = scene.driver.node(&other, &["browser.proxy"]);
    assert!(refusal(&mut scene).contains("more than one connected node"));
    let name = json!({"nodeId": other.id, "displayName": "Living Room"});
    scene.driver.ok(scene.operator, "node.rename", name);
    for (config, expected) in [
        (r#"{gateway:{nodes:{browser:{node:"living-room"}}}}"#, ""),
        (
            r#"{gateway:{nodes:{browser:{mode:"manual",node:"livingroom"}}}}"#,
            "",
        ),
        (
            r#"{gateway:{nodes:{browser:{mode:"manual"}}}}"#,
            "is manual",
        ),
        (r#"{gateway:{nodes:{browser:{mode:"off"}}}}"#, "disabled"),
        (
            r#"{gateway:{nodes:{browser:{node:"attic"}}}}"#,
            "configured browser node not connected: attic",
        ),
    ] {
        scene.driver.reload(config);
        if expected.is_empty() {
            request(&mut scene);
            scene.driver.settle();
            let asked = scene.driver.events(other_node, "node.invoke.request");
            assert_eq!(asked.len(), 1, "{config}");
        } else {
            let text = refusal(&mut scene);
            assert!(text.contains(expected), "{text}");
        }
    }
}

#[test]
fn without_a_browser_the_refusal_says_what_to_do() {
    let mut scene = Scene::new(&["system.run"]);
    assert!(refusal(&mut scene).contains("clawdia node run"));
    let params = json!({"method": "PATCH", "path": "/"});
    let refused = scene.driver.err(scene.operator, "browser.request", params);
    assert_eq!(message(&refused), "method must be GET, POST, or DELETE");
}

const CONTROL: &str = "browser: {controlUrl: 'http://127.0.0.1:18791', controlToken: 'own'}";

#[test]
fn the_control_server_is_asked_with_its_own_token() {
    let mut scene = Scene::new(&["browser.proxy"]);
    scene.driver.reload(&format!("{{{CONTROL}}}"));
    let id = request(&mut scene);
    scene.driver.settle();
    // A node that happens to have a browser takes nothing away from what somebody chose.
    let asked = scene.driver.events(scene.node, "node.invoke.request");
    assert!(asked.is_empty(), "{asked:?}");
    let (ticket, Act::Browser(browse)) = scene.driver.acts.pop_front().unwrap() else {
        panic!("no request");
    };
    assert_eq!(browse.address, "127.0.0.1:18791".parse().unwrap());
    assert_eq!(browse.token.expose(), "own");
    assert_eq!(
        browse.request,
        json!({"method": "GET", "path": "/tabs", "query": {"profile": "work"}, "profile": "work"})
    );
    let answer = json!({"result": {"tabs": [1]}}).to_string();
    scene.driver.acted(ticket, Acted::Text(answer));
    assert_eq!(
        scene.response(&id).unwrap()["payload"],
        json!({"tabs": [1]})
    );

    let id = request(&mut scene);
    scene.driver.settle();
    let (ticket, _) = scene.driver.acts.pop_front().unwrap();
    scene
        .driver
        .acted(ticket, Acted::Failed("404: no tab".into()));
    let answer = scene.response(&id).unwrap();
    assert_eq!(message(&answer["error"]), "404: no tab");
}

#[test]
fn a_node_that_is_named_goes_before_the_control_server() {
    let mut scene = Scene::new(&["browser.proxy"]);
    let id = scene.device.id.clone();
    scene.driver.reload(&format!(
        "{{{CONTROL}, gateway: {{nodes: {{browser: {{node: '{id}'}}}}}}}}"
    ));
    request(&mut scene);
    assert_eq!(scene.asked()["command"], "browser.proxy");
    assert!(scene.driver.acts.is_empty());
}

#[test]
fn no_control_server_is_asked_without_a_token_of_its_own() {
    let mut scene = Scene::new(&["browser.proxy"]);
    for (config, told) in [
        (
            "{browser: {controlUrl: 'http://127.0.0.1:1'}}".to_owned(),
            "browser.controlToken is missing",
        ),
        (
            format!("{{browser: {{controlUrl: 'http://127.0.0.1:1', controlToken: '{TOKEN}'}}}}"),
            "the gateway's own secret",
        ),
    ] {
        scene.driver.reload(&config);
        assert!(refusal(&mut scene).contains(told), "{config}");
        assert!(scene.driver.acts.is_empty(), "it was asked");
    }
}
