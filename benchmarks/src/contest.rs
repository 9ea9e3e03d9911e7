//! Who is measured, and a run of all of them on the same rules and requests.

use std::time::Duration;

use anyhow::Context as _;

use crate::{
    aecp::{self, Aecp},
    cedar::{self, Cedar},
    engine::{Engine as _, Outcome},
    hand::{HandWritten, Index, Loop},
    measure::{Subject, Times, subject},
    rego::{self, Interpreter, Machine, Rego},
    workload::Workload,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Aecp,
    Indexed,
    Loop,
    Cedar,
    Machine,
    Interpreter,
}

impl Who {
    pub(crate) const ALL: [Self; 6] =
        [Self::Aecp, Self::Indexed, Self::Loop, Self::Cedar, Self::Machine, Self::Interpreter];

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Aecp => "AECP",
            Self::Indexed => "hand-written, indexed",
            Self::Loop => "hand-written, loop",
            Self::Cedar => "Cedar",
            Self::Machine => "regorus RVM",
            Self::Interpreter => "regorus interpreter",
        }
    }

    /// Whether this is an engine for any policies, and not ours.
    pub(crate) const fn is_peer(self) -> bool {
        matches!(self, Self::Cedar | Self::Machine | Self::Interpreter)
    }

    fn enter<'a>(self, workload: &'a Workload) -> anyhow::Result<Box<dyn Subject<'a> + 'a>> {
        let rules = workload.rules.as_slice();
        match self {
            Self::Aecp => subject(aecp::files(workload), Aecp::new),
            Self::Indexed => subject(rules, |rules| Ok(HandWritten::new(Index::new(rules)))),
            Self::Loop => subject(rules, |rules| Ok(HandWritten::new(Loop(rules)))),
            Self::Cedar => subject(cedar::policies(workload), Cedar::new),
            Self::Machine => subject(rego::modules(workload), Rego::<Machine>::new),
            Self::Interpreter => subject(rego::modules(workload), Rego::<Interpreter>::new),
        }
        .with_context(|| format!("{} cannot take the {} rules", self.label(), rules.len()))
    }
}

/// How long a run may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// Requests that are measured.
    pub(crate) requests: usize,
    /// Time that one pass of one engine may take: short, so that a busy machine interrupts few of the passes of
    /// slow engines too, and the median over the rounds leaves those few out.
    pub(crate) pass: Duration,
    /// Time that an engine has to show on as many requests as it can that it agrees with the others.
    pub(crate) check: Duration,
}

/// What was measured with one set of rules.
pub(crate) struct Measured {
    pub(crate) rules: usize,
    /// Requests on which all were seen to agree.
    pub(crate) checked: usize,
    pub(crate) rows: Vec<Row>,
    /// Peers that cannot take so many rules, each with its own words.
    pub(crate) absent: Vec<(Who, String)>,
}

pub(crate) struct Row {
    pub(crate) who: Who,
    pub(crate) prepared: Times,
    pub(crate) json: Times,
    pub(crate) ready: Duration,
}

impl Measured {
    pub(crate) fn row(&self, who: Who) -> anyhow::Result<&Row> {
        let row = self.rows.iter().find(|row| row.who == who);
        row.with_context(|| format!("{} was not measured", who.label()))
    }
}

/// Measures all engines with each of the workloads, all of them in every round.
pub(crate) fn run(workloads: &[Workload], effort: Effort) -> anyhow::Result<Vec<Measured>> {
    let mut fields = workloads
        .iter()
        .map(|workload| Field::enter(workload, effort))
        .collect::<anyhow::Result<Vec<_>>>()?;
    eprintln!("measuring {} rounds …", effort.rounds);
    for _ in 0..effort.rounds {
        for (_, subject) in fields.iter_mut().flat_map(|field| &mut field.subjects) {
            subject.round()?;
        }
    }
    Ok(fields.into_iter().map(Field::measured).collect())
}

/// All engines with one workload.
struct Field<'a> {
    rules: usize,
    checked: usize,
    subjects: Vec<(Who, Box<dyn Subject<'a> + 'a>)>,
    absent: Vec<(Who, String)>,
}

impl<'a> Field<'a> {
    /// Loads the engines, checks that they agree, and warms them up.
    fn enter(workload: &'a Workload, effort: Effort) -> anyhow::Result<Self> {
        let Workload { rules, requests } = workload;
        eprintln!("{} rules: loading and checking …", rules.len());
        let expected = expected(workload)?;
        let measured = requests.get(..effort.requests).context("too few requests")?;
        let mut field = Self {
            rules: rules.len(),
            checked: requests.len(),
            subjects: Vec::new(),
            absent: Vec::new(),
        };
        for who in Who::ALL {
            let mut subject = match who.enter(workload) {
                Ok(subject) => subject,
                // The peers have limits of their own; that belongs to the result.
                Err(error) if who.is_peer() => {
                    field.absent.push((who, error.root_cause().to_string()));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let agreed = subject
                .check(requests, &expected, effort.check)
                .with_context(|| format!("{} with {} rules", who.label(), rules.len()))?;
            field.checked = field.checked.min(agreed);
            subject.warm_up(measured, effort.pass)?;
            field.subjects.push((who, subject));
        }
        Ok(field)
    }

    fn measured(self) -> Measured {
        let Self { rules, checked, subjects, absent } = self;
        let row = |(who, subject): (Who, Box<dyn Subject<'a> + 'a>)| {
            let [prepared, json] = subject.times();
            Row { who, prepared, json, ready: subject.ready() }
        };
        Measured { rules, checked, rows: subjects.into_iter().map(row).collect(), absent }
    }
}

/// What all engines must say, from the plainest of them.
fn expected(workload: &Workload) -> anyhow::Result<Vec<Outcome>> {
    let mut plainest = HandWritten::new(Loop(&workload.rules));
    workload.requests.iter().map(|request| plainest.outcome(request)).collect()
}
