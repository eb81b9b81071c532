use super::*;
use crate::state::{Device, Role};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clawdbot")
}

fn home() -> (tempfile::TempDir, Paths) {
    let dir = tempfile::tempdir().unwrap();
    let state_dir = dir.path().join("state");
    let paths = Paths {
        profile: None,
        config_candidates: vec![
            state_dir.join("clawdia.json"),
            state_dir.join("clawdbot.json"),
        ],
        state_dir,
    };
    (dir, paths)
}

fn state(paths: &Paths) -> State {
    let lock = StateLock::acquire(&paths.state_dir, LockHolder::this_process(1)).unwrap();
    let opened = store::open(&lock, Arc::new(|| {})).unwrap();
    opened.store.close();
    opened.state
}

fn is_phone(device: &Device) -> bool {
    device
        .client
        .platform
        .as_deref()
        .is_some_and(|it| it.starts_with("iOS"))
}

#[test]
fn devices_sessions_and_settings_are_taken_over_whole() {
    let (_dir, paths) = home();
    let taken = import(&fixture(), &paths, 5, false).unwrap();
    assert_eq!((taken.devices, taken.sessions, taken.messages), (2, 2, 2));
    let config = paths.state_dir.join("clawdia.json");
    assert_eq!(taken.config.as_ref(), Some(&config));
    let text = fs::read_to_string(&config).unwrap();
    assert_eq!(
        text,
        fs::read_to_string(fixture().join("clawdbot.json")).unwrap()
    );
    let state = state(&paths);
    let phone = state.devices().values().find(|it| is_phone(it)).unwrap();
    let grant = phone.grant(Role::Node).unwrap();
    assert_eq!(
        &*grant.token.as_ref().unwrap().token,
        "00112233445566778899aabbccddeeff"
    );
    assert!(phone.commands.iter().any(|it| &**it == "camera.snap"));
    assert!(!phone.commands.iter().any(|it| &**it == "system.run"));
    let main = &state.sessions()["agent:main:main"];
    assert_eq!(
        main.updated_at_ms, 1_769_000_005_000,
        "the newer of two rows counts"
    );
    assert_eq!(state.transcript(&main.session_id).message_count(), 2);
}

#[test]
fn what_is_left_out_is_told() {
    let (_dir, paths) = home();
    let notes = import(&fixture(), &paths, 5, false)
        .unwrap()
        .notes
        .join("\n");
    for part in [
        "its id is not that of its key",
        "an older row of session agent:main:main",
        "session agent:main:../../etc is left out",
        "1 unreadable lines",
    ] {
        assert!(notes.contains(part), "{part}\n{notes}");
    }
}

#[test]
fn a_second_import_changes_nothing_and_a_dry_one_writes_nothing() {
    let (_dir, paths) = home();
    let dry = import(&fixture(), &paths, 5, true).unwrap();
    assert_eq!((dry.devices, dry.messages), (2, 2));
    assert!(!paths.state_dir.exists());
    import(&fixture(), &paths, 5, false).unwrap();
    let before = state(&paths);
    let again = import(&fixture(), &paths, 6, false).unwrap();
    assert_eq!((again.devices, again.sessions, again.messages), (0, 0, 0));
    assert_eq!(again.config, None);
    assert_eq!(before.devices(), state(&paths).devices());
}

#[test]
fn a_damaged_file_is_never_taken_for_an_empty_one() {
    for (name, text, told) in [
        ("devices/paired.json", "{\"a\": ", "damaged"),
        ("devices/paired.json", "[]", "no object"),
        ("agents/main/sessions/sessions.json", "", "damaged"),
        ("clawdbot.json", "{ gateway: { prot: 1 } }", "gateway.prot"),
    ] {
        let (dir, paths) = home();
        let from = dir.path().join("old");
        let file = from.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::create_dir_all(from.join("devices")).unwrap();
        fs::write(&file, text).unwrap();
        let fault = import(&from, &paths, 5, false).unwrap_err();
        assert!(fault.message.contains(told), "{name}: {fault}");
        assert!(!paths.state_dir.join("clawdia.json").exists());
    }
}

#[test]
fn another_clawdia_is_restored_and_not_imported() {
    let (_dir, paths) = home();
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("clawdia.json"), "{}").unwrap();
    std::fs::write(other.path().join("clawdia.db"), "").unwrap();
    let refused = import(other.path(), &paths, 0, false).unwrap_err();
    assert!(refused.message.contains("clawdia restore"), "{refused:?}");
}

#[test]
fn a_directory_of_something_else_is_refused() {
    let (dir, paths) = home();
    assert!(import(dir.path(), &paths, 5, false).is_err());
    assert!(import(Path::new("/nowhere"), &paths, 5, false).is_err());
    import(&fixture(), &paths, 5, false).unwrap();
    assert!(import(&paths.state_dir.clone(), &paths, 5, false).is_err());
}
