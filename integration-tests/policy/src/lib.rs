//! A policy written as a component, which does what the attribute `probe.ask` says, so that tests see what a host lets it
//! do.

#![expect(clippy::panic, reason = "a tool of tests: what fails must fail loudly")]

use std::{
    collections::hash_map::RandomState,
    env, fs,
    hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _},
    hint,
    sync::atomic::{AtomicU32, Ordering},
    time::SystemTime,
};

mod bindings {
    #![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated")]
    wit_bindgen::generate!({ path: "../../contract/wit/policy.wit", world: "policy" });
}
use bindings::exports::aecp::policy::evaluation::{Audit, Decision, Guest, Value, Verdict};

/// The policy.
#[derive(Debug)]
pub struct Probe;

static DECIDED: AtomicU32 = AtomicU32::new(0);

#[cfg(target_family = "wasm")]
mod export {
    #![allow(unsafe_code, reason = "the function that the host calls")]
    use super::{Probe, bindings};
    bindings::export!(Probe with_types_in bindings);
}

impl Guest for Probe {
    fn decide(attributes: Vec<Value>) -> Verdict {
        let allow = |good| if good { Vec::new() } else { vec![0] };
        let (violated, indeterminate) = match attributes.as_slice() {
            [_, Value::Text(ask)] => match ask.as_str() {
                "doubt" => (Vec::new(), vec![0]),
                "another" => (vec![1], Vec::new()),
                ask => (allow(does(ask, &attributes)), Vec::new()),
            },
            _ => (Vec::new(), Vec::new()),
        };
        let denies = !violated.is_empty() || !indeterminate.is_empty();
        Verdict {
            decision: if denies { Decision::Deny } else { Decision::Allow },
            audit: Audit::None,
            violated,
            indeterminate,
            uncovered: Vec::new(),
            obligations: Vec::new(),
        }
    }
}

/// Whether it went as it should.
fn does(ask: &str, attributes: &[Value]) -> bool {
    match ask {
        "allow" => true,
        // Out of the same request as the compiled policies have.
        "subject" => matches!(&attributes[0], Value::Text(id) if id == "ada"),
        "trap" => panic!("asked to"),
        "loop" => loop {
            hint::black_box(ask);
        },
        "memory" => hint::black_box(vec![1_u8; 64 << 20]).len() > 1,
        // Nothing of an earlier request is there.
        "state" => DECIDED.fetch_add(1, Ordering::Relaxed) == 0,
        "clock" => SystemTime::now() == SystemTime::UNIX_EPOCH,
        "random" => {
            // What is never random.
            let mut fixed = DefaultHasher::new();
            1_u32.hash(&mut fixed);
            RandomState::new().hash_one(1_u32) == fixed.finish()
        }
        "world" => env::vars().count() == 0 && env::args().count() == 0,
        // Which nobody reads.
        "print" => {
            println!("{ask}");
            eprintln!("{ask}");
            true
        }
        "file" => fs::read("/etc/hostname").is_err(),
        _ => false,
    }
}
