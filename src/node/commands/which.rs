//! `system.which`: where programs are.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::host::environment::Environment;
use crate::limits::NODE_WHICH_BINS_MAX;
use crate::node::invoke::Fault;

/// `{bins: [name, …]}` → `{bins: {name: path}}`, those alone that are there.
pub fn which(params: &Value) -> Result<Value, Fault> {
    let Some(bins) = params["bins"].as_array() else {
        return Err(Fault::invalid("bins required"));
    };
    if bins.len() > NODE_WHICH_BINS_MAX {
        let text = format!("more than {NODE_WHICH_BINS_MAX} bins");
        return Err(Fault::invalid(text));
    }
    let environment = Environment::of_this_process();
    let names = bins.iter().filter_map(Value::as_str).map(str::trim);
    let found: Map<String, Value> = names
        .filter(|name| !name.contains(['/', '\\']))
        .filter_map(|name| {
            let path = environment.find(name, Path::new("/"))?;
            Some((name.to_owned(), path.to_string_lossy().into()))
        })
        .collect();
    Ok(json!({"bins": found}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_there_is_named() {
        let params = json!({"bins": [" sh ", "no-such-program", "/bin/sh", "../sh", "", 7]});
        let found = which(&params).unwrap();
        let bins = found["bins"].as_object().unwrap();
        assert_eq!(bins.len(), 1);
        assert!(bins["sh"].as_str().unwrap().ends_with("/sh"));
        assert!(which(&json!({})).is_err());
        assert!(which(&json!({"bins": vec!["sh"; 1 + NODE_WHICH_BINS_MAX]})).is_err());
    }
}
