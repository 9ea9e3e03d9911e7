//! Mutants: policies with one small change each. A change that no test notices is one that a person could make by
//! mistake without being told.
//!
//! A mutant is killed by the first test that fails on it, as the reference evaluator decides. One of which the solver
//! proves that it denies and advises on the very requests that its policy does is equivalent. The others survive, and
//! where the solver has found a request on which they differ, that request is what a test should give.

use aecp_contract::manifest::Enforcement;

use super::{
    edits::{self, Changed, Place, Site},
    given::{self, Given, covers, outcome},
    proofs::{Apart, told_apart},
};
use crate::{
    analyse::Solver,
    language::ast::Expect,
    parallel::{self, in_parallel},
    reference::Truth,
    set::{PolicySet, Test},
    source::Span,
};

/// The most mutants that are tried: of more, so many evenly spread ones.
pub const MAX_MUTANTS: usize = 10_000;

/// Mutants that one thread tries in one go.
const CHUNK: usize = 16;

/// In how many parts the mutants are tried, with news after each.
const PARTS: usize = 10;

/// What became of a set's mutants.
#[derive(Debug, Default)]
pub struct Mutation {
    /// How many there are.
    pub all: usize,
    /// How many were tried.
    pub tried: usize,
    /// How many of them a test noticed.
    pub killed: usize,
    /// How many mean the same as their policies, as far as decisions go: proven.
    pub equivalent: usize,
    /// How many no test noticed and none can: they only advise where their policy does not, and no EXPECT says that
    /// an advice is not given.
    pub unexpected: usize,
    /// Those that no test noticed, in the order of the policies.
    pub survivors: Vec<Survivor>,
}

/// A mutant that no test noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survivor {
    /// The policy, by its index in the set.
    pub policy: usize,
    /// Where the change is.
    pub span: Span,
    /// What it is, in one line.
    pub change: String,
    /// A request on which mutant and policy differ, in JSON; `None` where the solver has not decided.
    pub request: Option<String>,
}

/// What became of one mutant.
enum Fate {
    Killed,
    Equivalent,
    Unexpected,
    Survived(Survivor),
}

/// A test, with what the whole set's verdict on it is made of.
struct Base<'a> {
    test: &'a Test,
    request: Given<'a>,
    /// BLOCKING policies that are violated or indeterminate.
    denying: usize,
    /// By module, the BLOCKING policies whose scope is TRUE.
    covering: Vec<usize>,
    /// The policies that the test names, and whether each is as the test expects.
    named: Vec<(usize, bool)>,
}

/// Tries the mutants of a set all of whose tests pass; `tried` is told how many of how many are done.
#[must_use]
pub fn mutants(set: &PolicySet, tried: &mut dyn FnMut(usize, usize)) -> Mutation {
    let threads = parallel::threads();
    let mut sites: Vec<Site<'_>> =
        (0..set.policies.len()).flat_map(|policy| edits::sites(set, policy)).collect();
    let all = sites.len();
    if all > MAX_MUTANTS {
        let every = |number: usize| number * all / MAX_MUTANTS;
        sites = (0..MAX_MUTANTS).map(|number| sites[every(number)]).collect();
    }
    let mut mutation = Mutation { all, tried: sites.len(), ..Mutation::default() };
    let requests = set.tests.iter().zip(given::requests(set));
    let readable: Vec<_> = requests.filter_map(|(test, request)| Some((test, request?))).collect();
    let bases: Vec<Base<'_>> =
        readable.into_iter().map(|(test, request)| base(set, test, request)).collect();
    let part = sites.len().div_ceil(PARTS).max(1);
    let mut done = 0;
    for part in sites.chunks(part) {
        let chunks: Vec<_> = part.chunks(CHUNK).collect();
        let fates = in_parallel(&chunks, threads, |sites| {
            let solver = Solver::new(set);
            sites.iter().map(|site| fate(set, &bases, &solver, site)).collect::<Vec<_>>()
        });
        for fate in fates.into_iter().flatten() {
            match fate {
                Fate::Killed => mutation.killed += 1,
                Fate::Equivalent => mutation.equivalent += 1,
                Fate::Unexpected => mutation.unexpected += 1,
                Fate::Survived(survivor) => mutation.survivors.push(survivor),
            }
        }
        done += part.len();
        tried(done, sites.len());
    }
    mutation
}

fn fate(set: &PolicySet, bases: &[Base<'_>], solver: &Solver<'_>, site: &Site<'_>) -> Fate {
    let policy = &set.policies[site.policy];
    let changed = site.changed(policy);
    if bases.iter().any(|base| !passes(set, base, site, &changed)) {
        return Fate::Killed;
    }
    let conditions = (changed.scope.as_ref(), &changed.constraint);
    let request = match told_apart(set, solver, policy, conditions, changed.enforcement) {
        Apart::Never => return Fate::Equivalent,
        Apart::Unexpected => return Fate::Unexpected,
        Apart::Here(request) => Some(request.to_json(set)),
        Apart::NotDecided => None,
    };
    let (span, change) = (site.span(policy), site.describe(policy));
    Fate::Survived(Survivor { policy: site.policy, span, change, request })
}

fn base<'a>(set: &PolicySet, test: &'a Test, request: Given<'a>) -> Base<'a> {
    let mut base =
        Base { test, denying: 0, covering: vec![0; set.modules.len()], named: Vec::new(), request };
    for (index, policy) in set.policies.iter().enumerate() {
        let (scope, raised) = outcome(set, policy.scope.as_ref(), &policy.constraint, &base.request);
        let blocking = policy.info.enforcement == Enforcement::Blocking;
        base.denying += usize::from(blocking && raised != Truth::False);
        if covers(set, policy) && scope == Truth::True {
            base.covering[policy.info.module as usize] += 1;
        }
        if names(test).iter().any(|name| name.node == policy.info.name) {
            base.named.push((index, as_expected(&test.expect, raised)));
        }
    }
    base
}

fn names(test: &Test) -> &[crate::language::ast::Name] {
    match &test.expect {
        Expect::Allow => &[],
        Expect::Deny(names) | Expect::AllowWithAdvisory(names) => names,
    }
}

/// Whether a policy that the test names is what the test says.
fn as_expected(expect: &Expect, raised: Truth) -> bool {
    match expect {
        Expect::AllowWithAdvisory(_) => raised == Truth::True,
        _ => raised != Truth::False,
    }
}

/// Whether the test still passes with one policy changed.
fn passes(set: &PolicySet, base: &Base<'_>, site: &Site<'_>, changed: &Changed) -> bool {
    let policy = &set.policies[site.policy];
    let named = base.named.iter().any(|(index, _)| *index == site.policy);
    if site.place == Place::Mode && named {
        // What the test expects, a policy of that mode cannot do: the set would be refused.
        return false;
    }
    let before = outcome(set, policy.scope.as_ref(), &policy.constraint, &base.request);
    let after = match site.place {
        Place::Mode => before,
        _ => outcome(set, changed.scope.as_ref(), &changed.constraint, &base.request),
    };
    let blocks = |mode: Enforcement, raised: Truth| {
        usize::from(mode == Enforcement::Blocking && raised != Truth::False)
    };
    let denying =
        base.denying - blocks(policy.info.enforcement, before.1) + blocks(changed.enforcement, after.1);
    let applies = |covers: bool, scope: Truth| usize::from(covers && scope == Truth::True);
    let covers = covers(set, policy);
    let still = covers && changed.enforcement == Enforcement::Blocking;
    let uncovered =
        set.modules.iter().zip(&base.covering).enumerate().any(|(module, (info, covering))| {
            let covering = if module == policy.info.module as usize {
                covering - applies(covers, before.0) + applies(still, after.0)
            } else {
                *covering
            };
            info.default_deny && covering == 0
        });
    let denied = denying > 0 || uncovered;
    let named_are = base.named.iter().all(|(index, was)| {
        if *index == site.policy { as_expected(&base.test.expect, after.1) } else { *was }
    });
    denied == matches!(base.test.expect, Expect::Deny(_)) && named_are
}
