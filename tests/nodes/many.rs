//! `node.invokeMany`: one command on many nodes, a few at a time.

use super::*;

/// An operator and connected nodes `box-0`, `box-1`, … of devices 100, 101, ….
fn fleet(len: u64) -> (Driver, ConnId, Vec<(Device, ConnId)>) {
    let mut driver = Driver::default();
    let operator = driver.operator();
    let nodes = (0..len)
        .map(|n| {
            let device = Device::new(100 + n);
            let mut params = node_params(&["system.run"]);
            params["client"]["displayName"] = format!("box-{n}").into();
            if n % 2 == 1 {
                params["caps"] = json!(["system", "browser"]);
            }
            let conn = driver.join(&device, params);
            (device, conn)
        })
        .collect();
    (driver, operator, nodes)
}

fn call(selector: &Value, key: &str) -> Value {
    json!({"selector": selector, "command": "system.run", "params": {"command": ["ls"]},
        "parallelism": 3, "idempotencyKey": key})
}

/// Lets every node that was asked answer; how many were.
fn answer(driver: &mut Driver, nodes: &[(Device, ConnId)]) -> usize {
    let mut answered = 0;
    for (_, conn) in nodes {
        for asked in driver.events(*conn, "node.invoke.request") {
            let params = result(&asked, &json!({"exitCode": 0}));
            driver.request(*conn, "node.invoke.result", params);
            answered += 1;
        }
    }
    driver.settle();
    answered
}

#[test]
fn a_few_are_asked_at_a_time_and_each_outcome_comes_before_the_sum() {
    let (mut driver, operator, nodes) = fleet(8);
    let other = driver.join(&Device::new(2), clawdia::driver::operator_params());
    let id = driver.request(operator, "node.invokeMany", call(&json!({}), "k"));
    driver.settle();
    driver.hang_up(nodes[0].1);
    let mut rounds = Vec::new();
    while driver
        .response(operator, &id)
        .map(|it| rounds.push((0, it)))
        .is_none()
    {
        let count = answer(&mut driver, &nodes[1..]);
        assert!((1..=3).contains(&count), "{count} at a time");
    }
    let expected = json!({"ok": false, "command": "system.run", "total": 8, "succeeded": 7,
        "failed": 1});
    assert_eq!(rounds[0].1["payload"], expected);
    let told = driver.events(operator, "node.invokeMany.result");
    assert_eq!(told.len(), 8);
    assert!(driver.events(other, "node.invokeMany.result").is_empty());
    let failed: Vec<&Value> = told.iter().filter(|it| it["ok"] == false).collect();
    assert_eq!(failed[0]["nodeId"], nodes[0].0.id.as_str());
    assert_eq!(
        failed[0]["error"]["details"]["nodeError"]["code"],
        "DISCONNECTED"
    );
    let good = told.iter().find(|it| it["ok"] == true).unwrap();
    assert_eq!(good["payload"], json!({"exitCode": 0}));
    let again = driver.ok(operator, "node.invokeMany", call(&json!({}), "k"));
    assert_eq!(again, expected, "a repeat asks nobody");
    let refused = driver.err(
        operator,
        "node.invokeMany",
        call(&json!({"name": "x"}), "k"),
    );
    assert_eq!(refused["code"], "INVALID_REQUEST");
}

#[test]
fn the_selector_means_what_it_says() {
    for (selector, expected) in [
        (json!({"name": "BOX-*"}), 4),
        (json!({"name": "*-3"}), 1),
        (json!({"caps": ["browser"]}), 2),
        (json!({"platform": "linux", "name": "box-1"}), 1),
        (json!({"platform": "macos"}), 0),
        (json!({"ids": [Device::new(100).id, "nobody"]}), 2),
    ] {
        let (mut driver, operator, nodes) = fleet(4);
        let id = driver.request(operator, "node.invokeMany", call(&selector, "k"));
        driver.settle();
        while answer(&mut driver, &nodes) > 0 {}
        let sum = driver.response(operator, &id).unwrap()["payload"].take();
        assert_eq!(sum["total"], expected, "{selector}");
        let missing = usize::from(selector.get("ids").is_some());
        assert_eq!(sum["failed"], missing, "{selector}");
    }
}

#[test]
fn a_caller_that_leaves_asks_nobody_any_more() {
    let (mut driver, operator, nodes) = fleet(8);
    driver.request(operator, "node.invokeMany", call(&json!({}), "k"));
    driver.settle();
    driver.hang_up(operator);
    assert_eq!(answer(&mut driver, &nodes), 3);
    assert_eq!(answer(&mut driver, &nodes), 0);
}

#[test]
fn of_many_nodes_nobody_can_say_that_it_was_approved() {
    for said in [
        json!({"approved": true}),
        json!({"approvalDecision": "allow-once"}),
    ] {
        let (mut driver, operator, nodes) = fleet(2);
        let mut params = call(&json!({}), "k");
        params["params"]
            .as_object_mut()
            .unwrap()
            .extend(said.as_object().unwrap().clone());
        let refused = driver.err(operator, "node.invokeMany", params);
        assert_eq!(refused["code"], "INVALID_REQUEST", "{said}");
        assert_eq!(answer(&mut driver, &nodes), 0, "{said}: nobody is asked");
    }
}

#[test]
fn clients_of_version_three_see_it_only_where_they_ask_for_it() {
    for (caps, expected) in [(json!([]), false), (json!(["clawdia.v1"]), true)] {
        let mut driver = Driver::default();
        let mut params = clawdia::driver::operator_params();
        params["caps"] = caps;
        let conn = driver.open(&Address::default());
        let hello = driver.connect(conn, params, Some((&Device::new(1), Proof::V2)));
        let features = &hello["payload"]["features"];
        let has = |list: &str, name: &str| {
            let names = features[list].as_array().unwrap();
            names.iter().any(|it| it == name)
        };
        assert!(has("methods", "node.invoke"));
        assert_eq!(has("methods", "node.invokeMany"), expected);
        assert_eq!(has("events", "node.invokeMany.result"), expected);
    }
}
