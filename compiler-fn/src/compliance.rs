//! COMPLIANCE references: what they name, and how far a set covers the controls of a framework.
//!
//! Catalogues are data (`catalogues/*.json`): identifiers of the frameworks, with short titles of our own. A reference
//! to a framework without a catalogue is kept as it was written; nothing here knows what any control asks for.

mod catalogue;
mod coverage;
mod mapping;
mod page;
mod reference;
mod tokens;
mod unknown;

pub use catalogue::{Catalogue, Control, Framework, Section};
pub use coverage::{
    ControlCoverage, CoverageMap, FrameworkCoverage, Outcomes, PolicyCoverage, SectionCoverage, State,
};
pub use mapping::{MAX_PAIRS, TooManyPairs, coverage_map};
pub use page::{Html, MEANING, STYLE, page, plain};
pub use reference::{Problem, Reference, resolve};
pub(crate) use unknown::report_unknown;
