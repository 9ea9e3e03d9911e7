//! The catalogues: embedded data, and an index over their identifiers.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::{Deserialize, Serialize};

use super::tokens;

/// The frameworks that have a catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Framework {
    /// Regulation (EU) 2016/679.
    Gdpr,
    /// 45 CFR Part 164.
    Hipaa,
    /// Payment Card Industry Data Security Standard.
    PciDss,
    /// Trust Services Criteria.
    Soc2,
}

/// A framework's controls, in its own order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// As references write it.
    pub name: String,
    /// In full.
    pub title: String,
    /// Which edition the identifiers are of.
    pub edition: String,
    /// Where they come from.
    pub source: String,
    /// What is listed and what is not.
    pub note: String,
    /// What stands before an identifier, such as `Art. `; may be empty.
    prefix: String,
    /// Whether every numbered level is listed, so that a number below a listed control names nothing.
    pub(super) complete: bool,
    /// The parts.
    pub sections: Vec<Section>,
}

/// A part of a catalogue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Its identifier, such as `CC6` or `Chapter V`.
    pub id: String,
    /// What it is about, in a few words.
    pub title: String,
    /// The controls; at least one.
    pub controls: Vec<Control>,
}

/// A control: what a policy may name.
#[derive(Debug, Deserialize)]
pub struct Control {
    /// Its identifier in the framework's own spelling, without the framework's name.
    pub id: String,
    /// What it is about, in a few words.
    pub title: String,
}

impl Framework {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 4] = [Self::Gdpr, Self::Hipaa, Self::PciDss, Self::Soc2];

    /// Its catalogue.
    #[must_use]
    pub fn catalogue(self) -> &'static Catalogue {
        self.loaded().catalogue
    }

    /// The form in which reports name a control or part of it.
    #[must_use]
    pub fn canonical(self, id: &str) -> String {
        let Catalogue { name, prefix, .. } = self.catalogue();
        format!("{name} {prefix}{id}")
    }

    /// The listed control with these components.
    pub(super) fn control(self, components: &[&str]) -> Option<&'static Control> {
        self.loaded().index.get(&key(components)).copied()
    }

    /// The listed controls below these components, in the catalogue's order.
    pub(super) fn below(self, components: &[&str]) -> impl Iterator<Item = &'static Control> {
        let prefix = key(components);
        let below = move |key: &str| {
            prefix.is_empty() || key.strip_prefix(&prefix).is_some_and(|rest| rest.starts_with('.'))
        };
        self.loaded().in_order.iter().filter(move |(key, _)| below(key)).map(|(_, control)| *control)
    }

    fn loaded(self) -> &'static Loaded {
        static LOADED: LazyLock<[Loaded; 4]> = LazyLock::new(|| {
            [
                Loaded::new(include_str!("../../catalogues/gdpr.json")),
                Loaded::new(include_str!("../../catalogues/hipaa.json")),
                Loaded::new(include_str!("../../catalogues/pci_dss.json")),
                Loaded::new(include_str!("../../catalogues/soc2.json")),
            ]
        });
        &LOADED[self as usize]
    }
}

struct Loaded {
    catalogue: &'static Catalogue,
    /// Every control under its [`key`], in the catalogue's order.
    in_order: Vec<(String, &'static Control)>,
    index: BTreeMap<String, &'static Control>,
}

impl Loaded {
    /// Lives as long as the process, as the text that it is read from does.
    fn new(json: &'static str) -> Self {
        #[expect(clippy::expect_used, reason = "part of this crate; the tests below read all of them")]
        let catalogue: Catalogue = serde_json::from_str(json).expect("a catalogue");
        let catalogue: &'static Catalogue = Box::leak(Box::new(catalogue));
        let controls = catalogue.sections.iter().flat_map(|section| &section.controls);
        let keyed = |control: &'static Control| (key(&tokens::components(&control.id)), control);
        let in_order: Vec<_> = controls.map(keyed).collect();
        Self { catalogue, index: in_order.iter().cloned().collect(), in_order }
    }
}

/// The one spelling under which an identifier is found.
fn key(components: &[&str]) -> String {
    components.join(".").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::*;

    /// `CC6` before `CC10`, `(ii)` before `(iv)`, in the order in which the framework writes its kinds of numbers.
    fn natural(a: &[&str], b: &[&str]) -> Ordering {
        let rank = |level: usize, component: &str| -> u32 {
            let roman = ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"];
            match component.trim_start_matches(|c: char| c.is_ascii_alphabetic()).parse() {
                Ok(number) => number,
                // HIPAA: section, (a), (1), (i), (A)
                Err(_) if level == 4 => roman.iter().position(|one| *one == component).unwrap() as u32,
                Err(_) => component.bytes().next().unwrap().into(),
            }
        };
        let ranks = |components: &[&str]| -> Vec<_> {
            components.iter().enumerate().map(|(level, one)| rank(level, one)).collect()
        };
        ranks(a).cmp(&ranks(b))
    }

    #[test]
    fn every_catalogue_is_in_order_names_nothing_twice_and_has_as_many_controls_as_its_source() {
        let counts = [(11, 99), (34, 185), (71, 280), (20, 61)];
        for (framework, expected) in Framework::ALL.into_iter().zip(counts) {
            let Catalogue { name, sections, .. } = framework.catalogue();
            let controls: Vec<_> = sections.iter().flat_map(|section| &section.controls).collect();
            assert_eq!((sections.len(), controls.len()), expected, "{name}");
            assert_eq!(framework.loaded().index.len(), controls.len(), "{name}");
            for section in sections {
                assert!(!section.title.is_empty() && !section.controls.is_empty(), "{}", section.id);
                for pair in section.controls.windows(2) {
                    let [a, b] = [&pair[0].id, &pair[1].id].map(|id| tokens::components(id));
                    assert_eq!(natural(&a, &b), Ordering::Less, "{a:?} {b:?}");
                }
                for control in &section.controls {
                    let title = &control.title;
                    assert!((3..70).contains(&title.chars().count()), "{}: {title}", control.id);
                    let within =
                        tokens::components(&control.id).starts_with(&tokens::components(&section.id));
                    assert!(within || framework == Framework::Gdpr, "{}", control.id);
                }
            }
        }
    }

    #[test]
    fn articles_stand_in_their_chapters() {
        let sections = &Framework::Gdpr.catalogue().sections;
        let firsts: Vec<_> = sections.iter().map(|section| section.controls[0].id.as_str()).collect();
        assert_eq!(firsts, ["1", "5", "12", "24", "44", "51", "60", "77", "85", "92", "94"]);
        let all = sections.iter().flat_map(|section| &section.controls);
        assert!(all.zip(1..).all(|(control, number)| control.id == number.to_string()));
    }
}
