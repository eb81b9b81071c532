//! Completion scripts for shells, made of the command table.

use argh::{ArgsInfo, CommandInfoWithArgs, FlagInfoKind};
use serde_json::json;

use super::commands::Cli;
use super::exit::{Failure, Outcome};
use super::globals::GLOBAL_OPTIONS;
use super::out::Out;

/// Prints the script for `shell`.
pub fn run(shell: &str, out: &mut Out) -> Outcome {
    let script = match shell {
        "bash" => bash(),
        "zsh" => zsh(),
        "fish" => fish(),
        other => {
            return Err(Failure::usage(format!(
                "`{other}`: the shell is bash, zsh or fish"
            )));
        }
    };
    match out.wants_json() {
        true => out.json(&json!({"shell": shell, "script": script}))?,
        false => out.part(&script)?,
    }
    Ok(())
}

/// One command with the words that lead to it.
struct Entry {
    /// `gateway run`; empty for the root.
    trail: String,
    /// Commands below it, each with its description.
    commands: Vec<(String, String)>,
    /// Its own options and the global ones.
    options: Vec<Opt>,
}

struct Opt {
    long: String,
    short: Option<char>,
    takes_value: bool,
    takes_file: bool,
    description: String,
}

/// Every command, in the table's order.
fn entries() -> Vec<Entry> {
    fn walk(trail: &str, command: &CommandInfoWithArgs, all: &mut Vec<Entry>) {
        let own = command.flags.iter().map(|flag| {
            let arg = match flag.kind {
                FlagInfoKind::Option { arg_name } => Some(arg_name),
                FlagInfoKind::Switch => None,
            };
            Opt {
                long: flag.long.to_owned(),
                short: flag.short,
                takes_value: arg.is_some(),
                takes_file: arg == Some("file"),
                description: flag.description.to_owned(),
            }
        });
        let global = GLOBAL_OPTIONS.iter().map(|option| Opt {
            long: option.long.to_owned(),
            short: None,
            takes_value: !option.value.is_empty(),
            takes_file: option.value == "file",
            description: option.description.to_owned(),
        });
        all.push(Entry {
            trail: trail.to_owned(),
            commands: command
                .commands
                .iter()
                .map(|sub| (sub.name.to_owned(), sub.command.description.to_owned()))
                .collect(),
            options: own.chain(global).collect(),
        });
        for sub in &command.commands {
            let trail = format!("{trail} {}", sub.name);
            walk(trail.trim_start(), &sub.command, all);
        }
    }
    let mut all = Vec::new();
    walk("", &Cli::get_args_info(), &mut all);
    all
}

/// The words that a shell may complete after a command.
fn words(entry: &Entry) -> String {
    let commands = entry.commands.iter().map(|(name, _)| name.as_str());
    let options = entry.options.iter().map(|option| option.long.as_str());
    commands.chain(options).collect::<Vec<_>>().join(" ")
}

/// The options that take a value, in the form of a shell's `case` pattern.
fn value_pattern(filter: impl Fn(&Opt) -> bool) -> String {
    let mut names: Vec<String> = Vec::new();
    for entry in entries() {
        for option in entry
            .options
            .iter()
            .filter(|option| option.takes_value && filter(option))
        {
            names.push(option.long.clone());
            names.extend(option.short.map(|short| format!("-{short}")));
        }
    }
    names.sort();
    names.dedup();
    names.join("|")
}

fn bash() -> String {
    let mut cases = String::new();
    for entry in entries() {
        cases.push_str(&format!(
            "    '{}') words='{}' ;;\n",
            entry.trail,
            words(&entry)
        ));
    }
    let trails: Vec<String> = entries()
        .iter()
        .filter(|entry| !entry.trail.is_empty())
        .map(|entry| format!("'{}'", entry.trail))
        .collect();
    BASH.replace("@CASES@", cases.trim_end())
        .replace("@TRAILS@", &trails.join("|"))
        .replace("@FILES@", &value_pattern(|option| option.takes_file))
        .replace("@VALUES@", &value_pattern(|_| true))
}

const BASH: &str = r#"# bash completion for clawdia:  source <(clawdia completion bash)
# One entry a file, also where names have blanks; folders end with a slash.
_clawdia_files() {
  local IFS=$'\n'
  COMPREPLY=($(compgen -f -- "$1"))
  compopt -o filenames 2>/dev/null
}
_clawdia() {
  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}"
  local trail='' words='' i word try
  COMPREPLY=()
  case "$prev" in
    @FILES@) _clawdia_files "$cur"; return ;;
    @VALUES@) return ;;
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    case "$word" in
      @VALUES@) ((i++)); continue ;;
      -*) continue ;;
    esac
    try="${trail:+$trail }$word"
    case "$try" in
      @TRAILS@) trail="$try" ;;
    esac
  done
  case "$trail" in
@CASES@
  esac
  case "$trail" in
    'completion') words="bash zsh fish $words" ;;
    'backup'|'restore') [[ "$cur" == -* ]] || { _clawdia_files "$cur"; return; } ;;
  esac
  COMPREPLY+=($(compgen -W "$words" -- "$cur"))
}
complete -F _clawdia clawdia
"#;

fn zsh() -> String {
    let mut cases = String::new();
    for entry in entries() {
        cases.push_str(&format!("    '{}')\n      offer=(", entry.trail));
        for (name, description) in &entry.commands {
            cases.push_str(&format!(" {}", zsh_word(name, description)));
        }
        for option in &entry.options {
            cases.push_str(&format!(" {}", zsh_word(&option.long, &option.description)));
        }
        cases.push_str(" ) ;;\n");
    }
    let trails: Vec<String> = entries()
        .iter()
        .filter(|entry| !entry.trail.is_empty())
        .map(|entry| format!("'{}'", entry.trail))
        .collect();
    ZSH.replace("@CASES@", cases.trim_end())
        .replace("@TRAILS@", &trails.join("|"))
        .replace("@FILES@", &value_pattern(|option| option.takes_file))
        .replace("@VALUES@", &value_pattern(|_| true))
}

/// A word and its description, as `_describe` wants them, in single quotes.
fn zsh_word(name: &str, description: &str) -> String {
    let description = description.replace('\'', "'\\''");
    format!("'{}:{description}'", name.replace(':', "\\:"))
}

const ZSH: &str = r#"#compdef clawdia
# zsh completion for clawdia:  clawdia completion zsh > ~/.zfunc/_clawdia
_clawdia() {
  local trail='' word try i
  local -a words_typed offer
  words_typed=("${(@)words[2,CURRENT-1]}")
  case "${words_typed[-1]-}" in
    @FILES@) _files; return ;;
    @VALUES@) return ;;
  esac
  for ((i = 1; i <= ${#words_typed}; i++)); do
    word="${words_typed[i]}"
    case "$word" in
      @VALUES@) ((i++)); continue ;;
      -*) continue ;;
    esac
    try="${trail:+$trail }$word"
    case "$try" in
      @TRAILS@) trail="$try" ;;
    esac
  done
  offer=()
  case "$trail" in
@CASES@
  esac
  case "$trail" in
    'completion') offer+=(bash zsh fish) ;;
    'backup'|'restore') _files ;;
  esac
  _describe 'clawdia' offer
}
if [ "${funcstack[1]-}" = "_clawdia" ]; then
  _clawdia "$@"
else
  compdef _clawdia clawdia
fi
"#;

fn fish() -> String {
    let mut script = String::from(FISH);
    for entry in entries() {
        let condition = format!("__clawdia_at '{}'", entry.trail);
        for (name, description) in &entry.commands {
            script.push_str(&format!(
                "complete -c clawdia -n \"{condition}\" -a {name} -d {}\n",
                fish_quote(description)
            ));
        }
        for option in &entry.options {
            let short = option
                .short
                .map_or(String::new(), |short| format!(" -s {short}"));
            let value = match (option.takes_value, option.takes_file) {
                (_, true) => " -r -F",
                (true, false) => " -x",
                (false, false) => "",
            };
            script.push_str(&format!(
                "complete -c clawdia -n \"{condition}\" -l {}{short}{value} -d {}\n",
                option.long.trim_start_matches('-'),
                fish_quote(&option.description)
            ));
        }
    }
    script.push_str("complete -c clawdia -n \"__clawdia_at 'completion'\" -a 'bash zsh fish'\n");
    for command in ["backup", "restore"] {
        script.push_str(&format!(
            "complete -c clawdia -n \"__clawdia_at '{command}'\" -F\n"
        ));
    }
    let trails: Vec<String> = entries()
        .iter()
        .filter(|entry| !entry.trail.is_empty())
        .map(|entry| format!("'{}'", entry.trail))
        .collect();
    script
        .replace("@TRAILS@", &trails.join(" "))
        .replace("@VALUES@", &value_pattern(|_| true).replace('|', " "))
}

fn fish_quote(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

const FISH: &str = r#"# fish completion for clawdia:  clawdia completion fish > ~/.config/fish/completions/clawdia.fish
function __clawdia_at
  set -l trail ''
  set -l skip 0
  for word in (commandline -opc)[2..-1]
    if test $skip = 1
      set skip 0
      continue
    end
    if contains -- $word @VALUES@
      set skip 1
      continue
    end
    if string match -q -- '-*' $word
      continue
    end
    set -l try (string trim -- "$trail $word")
    if contains -- $try @TRAILS@
      set trail $try
    end
  end
  test "$trail" = "$argv[1]"
end
complete -c clawdia -f
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn every_name() -> Vec<String> {
        let entries = entries();
        assert!(entries.len() > 30, "the table was walked");
        entries
            .iter()
            .flat_map(|entry| {
                let commands = entry.commands.iter().map(|(name, _)| name.clone());
                let options = entry
                    .options
                    .iter()
                    .map(|o| o.long.trim_start_matches('-').into());
                commands.chain(options).collect::<Vec<String>>()
            })
            .collect()
    }

    #[test]
    fn every_command_and_option_is_in_every_script() {
        for (shell, script) in [("bash", bash()), ("zsh", zsh()), ("fish", fish())] {
            for name in every_name() {
                assert!(script.contains(&name), "{shell}: {name}");
            }
            for placeholder in ["@CASES@", "@TRAILS@", "@FILES@", "@VALUES@"] {
                assert!(!script.contains(placeholder), "{shell}: {placeholder}");
            }
        }
    }

    /// Feeds `script` to a shell that only checks it; a shell that is not installed is skipped.
    fn parses(shell: &str, args: &[&str], script: &str) {
        let spawned = Command::new(shell)
            .args(args)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut child) = spawned else { return };
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(script.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{shell}: {errors}");
    }

    #[test]
    fn the_scripts_parse_in_their_shells() {
        parses("bash", &["-n"], &bash());
        parses("zsh", &["-n"], &zsh());
        parses("fish", &["--no-execute"], &fish());
    }

    #[test]
    fn bash_completes_commands_options_and_what_a_group_has() {
        let complete = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let script = format!(
                "{}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_clawdia\nIFS='|'\necho \"${{COMPREPLY[*]}}\"\n",
                bash(),
                words
                    .iter()
                    .map(|w| format!("'{w}'"))
                    .collect::<Vec<_>>()
                    .join(" "),
                words.len() - 1
            );
            let output = Command::new("bash").args(["-c", &script]).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        assert_eq!(complete("clawdia hea"), "health");
        assert_eq!(complete("clawdia devices app"), "approve");
        assert_eq!(complete("clawdia --url ws://h:1 gateway ru"), "run");
        assert_eq!(complete("clawdia gateway run --po"), "--port");
        assert_eq!(complete("clawdia completion z"), "zsh");
        assert_eq!(complete("clawdia agent --message "), "");
        let dir = tempfile::tempdir().unwrap();
        for name in ["one file", "other"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let start = format!("{}/o", dir.path().display());
        let both = format!("{start}ne file|{start}ther");
        for before in ["health --token-file", "backup", "approvals set --file"] {
            let files = complete(&format!("clawdia {before} {start}"));
            let mut files: Vec<&str> = files.split('|').collect();
            files.sort_unstable();
            assert_eq!(files.join("|"), both, "{before}");
        }
    }
}
