//! Asks the linker for what makes the program smaller, where the linker and the C library of this machine know it.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = env::var("TARGET").unwrap_or_default();
    let is_native = env::var("HOST").is_ok_and(|host| host == target);
    // Relocations in a packed form: a fortieth of the program.
    if is_native && glibc().is_some_and(|version| version >= (2, 36)) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    // Functions whose code is the same become one: a hundredth. The linker that comes with the compiler does that.
    if target == "x86_64-unknown-linux-gnu" && is_linker_ours() && rustc() >= Some((1, 90)) {
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
    }
}

/// Whether nobody chose a linker: then the compiler takes its own, LLD.
fn is_linker_ours() -> bool {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let chosen = ["linker", "link-self-contained", "fuse-ld"];
    env::var_os("RUSTC_LINKER").is_none() && !chosen.iter().any(|word| flags.contains(word))
}

/// The compiler's version.
fn rustc() -> Option<(u32, u32)> {
    let text = told(env::var("RUSTC").ok()?.as_str(), "-V")?;
    numbers(text.strip_prefix("rustc ")?)
}

/// The version of this machine's glibc, if it has one.
fn glibc() -> Option<(u32, u32)> {
    let text = told("getconf", "GNU_LIBC_VERSION")?;
    numbers(text.strip_prefix("glibc ")?)
}

fn told(program: &str, argument: &str) -> Option<String> {
    let told = Command::new(program).arg(argument).output().ok()?;
    String::from_utf8(told.stdout).ok()
}

/// "2.36" or "1.95.0 (59807616e 2026-04-14)".
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim().split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
