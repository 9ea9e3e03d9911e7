//! What an engine must do to be measured here, and the check that all of them say the same.

use anyhow::{Context as _, bail};

/// One engine with the rules loaded, warm, as its documentation has it used.
///
/// `'a` is how long the requests' JSON text lives, into which what is prepared may point.
pub(crate) trait Engine<'a> {
    /// A request in the form that the engine decides on.
    type Prepared;

    fn prepare(&mut self, json: &'a [u8]) -> anyhow::Result<Self::Prepared>;

    /// Whether the request is allowed; everything else that the engine has to say must have been computed.
    fn decide(&mut self, prepared: &Self::Prepared) -> anyhow::Result<bool>;

    /// The same from JSON text.
    fn decide_json(&mut self, json: &'a [u8]) -> anyhow::Result<bool>;

    /// All that the engine says of a request, from JSON text.
    fn outcome(&mut self, json: &'a [u8]) -> anyhow::Result<Outcome>;
}

/// What an engine says of one request, by the rules' numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) allow: bool,
    /// Rules that are violated, or cannot be decided because an attribute is missing; ascending.
    pub(crate) found: Vec<u32>,
    /// The undecided ones among them, from engines that tell them from the others.
    pub(crate) undecided: Option<Vec<u32>>,
}

/// Fails unless the engine says `expected`, prepared and from JSON.
pub(crate) fn check<'a, E: Engine<'a>>(
    engine: &mut E,
    json: &'a [u8],
    expected: &Outcome,
) -> anyhow::Result<()> {
    let request = || format!("on the request {}", String::from_utf8_lossy(json));
    let outcome = engine.outcome(json).with_context(request)?;
    let undecided_agree = match (&outcome.undecided, &expected.undecided) {
        (Some(ours), Some(expected)) => ours == expected,
        _ => true,
    };
    if (outcome.allow, &outcome.found) != (expected.allow, &expected.found) || !undecided_agree {
        bail!("it says {outcome:?}\nthe hand-written loop says {expected:?}\n{}", request());
    }
    let prepared = engine.prepare(json).with_context(request)?;
    let decided = [engine.decide(&prepared)?, engine.decide_json(json)?];
    if decided != [expected.allow; 2] {
        bail!("allowed, prepared and from JSON: {decided:?}, not {}\n{}", expected.allow, request());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        hand::{HandWritten, Index, Loop},
        workload::Workload,
    };

    #[test]
    fn an_engine_that_says_something_else_is_refused_with_the_request() {
        let mut workload = Workload::new(10);
        let honest = Workload::new(10);
        for rule in &mut workload.rules {
            rule.blocking = !rule.blocking;
        }
        let mut plainest = HandWritten::new(Loop(&honest.rules));
        let mut same = HandWritten::new(Index::new(&honest.rules));
        let mut other = HandWritten::new(Index::new(&workload.rules));
        let mut refused = 0;
        for request in &honest.requests {
            let expected = plainest.outcome(request).unwrap();
            check(&mut same, request, &expected).unwrap();
            if let Err(error) = check(&mut other, request, &expected) {
                assert!(error.to_string().contains(str::from_utf8(request).unwrap()), "{error}");
                refused += 1;
            }
        }
        assert!(refused > 0);
    }
}
