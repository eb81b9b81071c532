//! One number drives a whole world: clients that come, call, pipeline and go, the cuts of their
//! bytes, slow readers, steps of runs, a store that delays and fails, crashes, and the clock.
//!
//! `CLAWDIA_SEED=n cargo test --test simulation` replays one world and prints it.

mod ledger;
mod nodes;
mod peer;
mod world;

use nodes::Nodes;
use world::{Cuts, World};

const SEEDS: u64 = 256;
const NODE_SEEDS: u64 = 32;
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
        compare(seed, run);
    }
}

/// The same seed gives the same transcript, and how bytes were cut changes nothing.
fn compare(seed: u64, run: fn(u64, Cuts) -> String) {
    let (whole, cut) = (run(seed, Cuts::Whole), run(seed, Cuts::Anywhere));
    if whole != cut {
        let differs = whole
            .lines()
            .zip(cut.lines())
            .find(|(one, other)| one != other);
        panic!("seed {seed}: {differs:#?}");
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

fn run_nodes(seed: u64, cuts: Cuts) -> String {
    let mut world = Nodes::new(seed, cuts);
    let guard = Tell(seed);
    for _ in 0..2 * EVENTS {
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

fn sweep_nodes(part: u64) {
    if let Ok(seed) = std::env::var("CLAWDIA_SEED") {
        if part == 0 {
            println!(
                "{}",
                run_nodes(seed.parse().expect("a number"), Cuts::Whole)
            );
        }
        return;
    }
    for seed in (0..NODE_SEEDS).filter(|seed| seed % 2 == part) {
        compare(seed, run_nodes);
    }
}

#[test]
fn worlds_of_nodes_hold_together_1_of_2() {
    sweep_nodes(0);
}

#[test]
fn worlds_of_nodes_hold_together_2_of_2() {
    sweep_nodes(1);
}
