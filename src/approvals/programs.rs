//! Programs that run other programs, and words of the shell that do.

/// Programs whose arguments say what is really executed. No wildcard allows them, and a person's
/// "always" does not either: allowing `env` would allow everything.
const RUNNERS: &[&str] = &[
    "ash",
    "awk",
    "bash",
    "bun",
    "busybox",
    "bwrap",
    "chroot",
    "chrt",
    "csh",
    "dash",
    "deno",
    "docker",
    "doas",
    "env",
    "expect",
    "fakeroot",
    "find",
    "firejail",
    "fish",
    "flock",
    "gawk",
    "gdb",
    "ionice",
    "ksh",
    "ld.so",
    "lua",
    "make",
    "mawk",
    "nawk",
    "nice",
    "node",
    "nohup",
    "nsenter",
    "osascript",
    "parallel",
    "perl",
    "php",
    "pkexec",
    "podman",
    "pwsh",
    "python",
    "ruby",
    "runuser",
    "script",
    "sed",
    "setarch",
    "setsid",
    "sh",
    "ssh",
    "stdbuf",
    "strace",
    "su",
    "sudo",
    "systemd-run",
    "taskset",
    "tcsh",
    "time",
    "timeout",
    "tmux",
    "toybox",
    "unshare",
    "watch",
    "xargs",
    "zsh",
];

/// Whether the program's name is one of those, with a version behind it or not.
pub fn is_runner(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    name.starts_with("ld-linux") || [name, plain].iter().any(|it| RUNNERS.contains(it))
}

/// Shells that take a text behind `-c`, by the paths where only the system puts programs.
const SHELLS: &[&str] = &[
    "/bin/ash",
    "/bin/bash",
    "/bin/dash",
    "/bin/sh",
    "/bin/zsh",
    "/usr/bin/bash",
    "/usr/bin/dash",
    "/usr/bin/sh",
    "/usr/bin/zsh",
];

/// The text that a shell is given to execute, where the command is nothing else.
pub fn shell_text(argv: &[String]) -> Option<&str> {
    match argv {
        [shell, flag, text] if SHELLS.contains(&shell.as_str()) => {
            matches!(flag.as_str(), "-c" | "-lc").then_some(text)
        }
        [shell, d, s, c, text] if shell == CMD => {
            (d == "/d" && s == "/s" && c == "/c").then_some(text)
        }
        _ => None,
    }
}

/// The shell of Windows. What its texts start is not known here.
pub const CMD: &str = "cmd.exe";

/// Words that a shell takes itself and that run, redefine or relocate something: whatever program
/// of that name there is, it is not what the shell would start.
const SHELL_WORDS: &[&str] = &[
    ".",
    "alias",
    "bg",
    "bind",
    "break",
    "builtin",
    "case",
    "cd",
    "command",
    "compgen",
    "complete",
    "continue",
    "coproc",
    "declare",
    "disown",
    "do",
    "done",
    "elif",
    "else",
    "enable",
    "esac",
    "eval",
    "exec",
    "exit",
    "export",
    "fc",
    "fg",
    "fi",
    "for",
    "foreach",
    "function",
    "getopts",
    "hash",
    "if",
    "in",
    "jobs",
    "let",
    "local",
    "logout",
    "mapfile",
    "nocorrect",
    "noglob",
    "popd",
    "pushd",
    "read",
    "readarray",
    "readonly",
    "repeat",
    "return",
    "select",
    "set",
    "setopt",
    "shift",
    "shopt",
    "source",
    "then",
    "time",
    "times",
    "trap",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
    "until",
    "wait",
    "while",
    "zmodload",
];

/// Whether a shell would not look for a program of that name.
pub fn is_shell_word(word: &str) -> bool {
    SHELL_WORDS.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runners_are_known_by_name_with_and_without_a_version() {
        for path in [
            "/usr/bin/env",
            "/opt/x/python3.12",
            "bash",
            "/usr/bin/perl5",
            "/lib64/ld-linux-x86-64.so.2",
        ] {
            assert!(is_runner(path), "{path}");
        }
        for path in [
            "/usr/bin/uptime",
            "/usr/bin/shutdown",
            "/bin/ls",
            "/usr/bin/md5sum",
        ] {
            assert!(!is_runner(path), "{path}");
        }
    }

    #[test]
    fn only_a_shell_of_the_system_with_one_text_is_looked_into() {
        let argv = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        assert_eq!(shell_text(&argv(&["/bin/sh", "-lc", "ls"])), Some("ls"));
        let cmd = ["cmd.exe", "/d", "/s", "/c", "dir"];
        assert_eq!(shell_text(&argv(&cmd)), Some("dir"));
        for words in [
            &["./sh", "-c", "ls"][..],
            &["sh", "-c", "ls"],
            &["/bin/sh", "-c", "ls", "x"],
            &["/bin/sh", "-x", "ls"],
            &["/bin/sh", "ls"],
        ] {
            assert_eq!(shell_text(&argv(words)), None, "{words:?}");
        }
    }

    #[test]
    fn the_words_of_the_shell_are_in_order() {
        assert!(SHELL_WORDS.windows(2).all(|two| two[0] < two[1]));
        assert!(RUNNERS.iter().all(|it| is_runner(it)));
        assert!(is_shell_word("eval") && !is_shell_word("ls"));
    }
}
