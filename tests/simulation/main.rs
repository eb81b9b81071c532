//! One number drives a whole world: clients that come, call, pipeline and go, the cuts of their
//! bytes, slow readers, steps of runs, a store that delays and fails, crashes, and the clock.
//!
//! `CLAWDIA_SEED=n cargo test --test simulation` replays one world and prints it.

mod ledger;
mod peer;
mod world;

use world::{Cuts, World};

const SEEDS: u64 = 256;
/// Things that happen in one world.
const EVENTS: usize = 50;

fn sweep(part: u64) {
    if let Ok(seed) = std::env::var("CLAWDIA_SEED") {
        if part == 0 {
            run(seed.parse().expect("a number"), Cuts::Whole);
        }
        return;
    }
    for seed in (0..SEEDS).filter(|seed| seed % 4 == part) {
        let whole = run(seed, Cuts::Whole);
        let cut = run(seed, Cuts::Anywhere);
        // The same seed gives the same transcript, and how bytes were cut changes nothing.
        if whole != cut {
            let differs = whole
                .lines()
                .zip(cut.lines())
                .find(|(one, other)| one != other);
            panic!("seed {seed}: {differs:#?}");
        }
    }
}

fn run(seed: u64, cuts: Cuts) -> String {
    let mut world = World::new(seed, cuts);
    let guard = Tell(seed);
    for _ in 0..EVENTS {
        world.step();
    }
    let transcript = world.end();
    std::mem::forget(guard);
    transcript
}

/// Names the seed of a world that fell apart.
struct Tell(u64);

impl Drop for Tell {
    fn drop(&mut self) {
        eprintln!("replay with CLAWDIA_SEED={}", self.0);
    }
}

#[test]
fn worlds_hold_together_1_of_4() {
    sweep(0);
}

#[test]
fn worlds_hold_together_2_of_4() {
    sweep(1);
}

#[test]
fn worlds_hold_together_3_of_4() {
    sweep(2);
}

#[test]
fn worlds_hold_together_4_of_4() {
    sweep(3);
}
