//! References as people write them: `GDPR Art. 32(1)(b)`, `HIPAA §164.312(a)(1)`, `SOC2 CC6.1`, `PCI DSS 4.0 Req. 8.3`.

use super::{
    catalogue::{Control, Framework},
    tokens::{Word, words},
};

/// What a reference means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A listed control, or something below it.
    Control {
        /// Of which framework.
        framework: Framework,
        /// The listed control's identifier.
        control: &'static str,
        /// The whole reference in the one form of reports.
        canonical: String,
    },
    /// A whole part of a framework, such as `SOC 2 CC6`, or all of it: it stands for none of the controls there.
    Part {
        /// Of which framework.
        framework: Framework,
        /// The whole reference in the one form of reports.
        canonical: String,
    },
    /// Of a known framework, but naming none of its controls.
    Unknown {
        /// Of which framework.
        framework: Framework,
        /// Why.
        problem: Problem,
    },
    /// Of a framework without a catalogue.
    Other,
}

/// Why a reference names no control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It has no identifier.
    NoControl,
    /// It has several, or text with numbers after the first.
    Several,
    /// It is of another edition, which numbers its controls otherwise.
    Edition(String),
    /// The catalogue does not list it.
    NotListed {
        /// The identifier, put together from what was written.
        id: String,
    },
}

/// How a framework's name is written, the longer first where one begins another.
const NAMES: [(&[&str], Framework); 14] = [
    (&["gdpr"], Framework::Gdpr),
    (&["eu", "gdpr"], Framework::Gdpr),
    (&["dsgvo"], Framework::Gdpr),
    (&["rgpd"], Framework::Gdpr),
    (&["regulation", "eu", "2016", "679"], Framework::Gdpr),
    (&["hipaa"], Framework::Hipaa),
    (&["45", "cfr"], Framework::Hipaa),
    (&["pci", "dss"], Framework::PciDss),
    (&["pcidss"], Framework::PciDss),
    (&["pci"], Framework::PciDss),
    (&["soc2"], Framework::Soc2),
    (&["soc", "2"], Framework::Soc2),
    (&["tsc"], Framework::Soc2),
    (&["trust", "services", "criteria"], Framework::Soc2),
];

/// What may stand before an identifier.
const BEFORE: [&[&str]; 4] = [
    &["art", "arts", "article", "articles", "artikel"],
    &["45", "cfr", "part", "sec", "section", "security", "privacy", "breach", "notification", "rule"],
    &["req", "requirement", "appendix"],
    &["aicpa", "tsc", "trust", "services", "criteria", "criterion", "type", "i", "ii", "1", "2", "2017"],
];

/// What may stand between the components of an identifier: `Art. 6 para. 1 lit. a`.
const BETWEEN: [&str; 7] = ["para", "paragraph", "abs", "lit", "letter", "point", "no"];

/// The editions whose numbers those of the PCI DSS catalogue are.
const PCI_DSS_EDITIONS: [&str; 3] = ["4", "4.0", "4.0.1"];

/// What a COMPLIANCE text refers to.
#[must_use]
pub fn resolve(text: &str) -> Reference {
    let words = words(text);
    let skipped = usize::from(words.first().is_some_and(|word| word.is("aicpa")));
    let named = NAMES.iter().find(|(name, _)| {
        words[skipped..].len() >= name.len() && words[skipped..].iter().zip(*name).all(|(a, b)| a.is(b))
    });
    let Some((name, framework)) = named else { return Reference::Other };
    let rest = &words[skipped + name.len()..];
    match framework {
        Framework::Gdpr => gdpr(rest),
        Framework::Hipaa => hipaa(rest, name[0] == "hipaa"),
        Framework::PciDss => pci_dss(rest, *name == ["pci"]),
        Framework::Soc2 => soc2(rest),
    }
}

fn gdpr(rest: &[Word<'_>]) -> Reference {
    match rest {
        [word, ..] if word.is("recital") => Reference::Other,
        [word, number, ..] if word.is("chapter") => {
            let id = format!("Chapter {}", number.text.to_ascii_uppercase());
            if Framework::Gdpr.catalogue().sections.iter().any(|section| section.id == id) {
                let canonical = format!("{} {id}", Framework::Gdpr.catalogue().name);
                Reference::Part { framework: Framework::Gdpr, canonical }
            } else {
                unknown(Framework::Gdpr, Problem::NoControl)
            }
        }
        _ => read(Framework::Gdpr, rest, &[]),
    }
}

fn hipaa(rest: &[Word<'_>], named: bool) -> Reference {
    let identifier = skip(Framework::Hipaa, rest);
    match identifier.first() {
        // The general and the transaction rules, which have no catalogue.
        Some(part) if part.is_one_of(&["160", "162"]) => Reference::Other,
        Some(part) if part.is("164") || named => read(Framework::Hipaa, identifier, &[]),
        // Title 45 of the federal regulations has many more parts.
        None if named => read(Framework::Hipaa, identifier, &[]),
        _ => Reference::Other,
    }
}

fn pci_dss(rest: &[Word<'_>], short: bool) -> Reference {
    let framework = Framework::PciDss;
    let (edition, identifier) = pci_dss_edition(rest);
    if let Some(edition) = edition
        && !PCI_DSS_EDITIONS.contains(&edition.as_str())
    {
        return unknown(framework, Problem::Edition(edition));
    }
    // `PCI PIN 3.1` and the like are other standards.
    let other = |word: &Word<'_>| !word.has_digit() && !word.is_one_of(BEFORE[framework as usize]);
    if short && rest.first().is_some_and(other) {
        return Reference::Other;
    }
    read(framework, identifier, &[])
}

/// The edition before an identifier. What stands alone is the identifier, unless it has a component 0, as no
/// requirement does.
fn pci_dss_edition<'w, 'a>(rest: &'w [Word<'a>]) -> (Option<String>, &'w [Word<'a>]) {
    let marked = rest.first().is_some_and(|word| word.is_one_of(&["v", "version"]));
    let words = if marked { &rest[1..] } else { rest };
    let Some(first) = words.first() else { return (None, rest) };
    let number = first.text.strip_prefix(['v', 'V']).unwrap_or(first.text);
    let marked = marked || number.len() < first.text.len();
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return (None, rest);
    }
    let length = 1 + words[1..].iter().take_while(|word| word.is_glued() && word.is_number()).count();
    let (edition, after) = words.split_at(length);
    let required = after.first().is_some_and(|word| word.is_one_of(&["req", "requirement", "appendix"]));
    let followed =
        after.len() > 1 && !after[0].is_apart() && after[0].has_digit() && after[1].is_glued();
    let zero = edition.iter().any(|word| word.is("0"));
    if !(marked || required || followed || zero) {
        return (None, rest);
    }
    let components: Vec<_> =
        [number].into_iter().chain(edition[1..].iter().map(|word| word.text)).collect();
    (Some(components.join(".")), after)
}

fn soc2(rest: &[Word<'_>]) -> Reference {
    let rest = skip(Framework::Soc2, rest);
    // `CC 6.1`
    if let [series, number, rest @ ..] = rest
        && series.is_one_of(&["cc", "a", "c", "pi", "p"])
        && number.is_number()
    {
        return read(Framework::Soc2, rest, &[&format!("{}{}", series.text, number.text)]);
    }
    read(Framework::Soc2, rest, &[])
}

fn skip<'w, 'a>(framework: Framework, words: &'w [Word<'a>]) -> &'w [Word<'a>] {
    let before = BEFORE[framework as usize];
    let count = words.iter().take_while(|word| word.is_one_of(before)).count();
    &words[count..]
}

/// Reads the components of an identifier that begins with `begun`, and a title after it.
fn read(framework: Framework, words: &[Word<'_>], begun: &[&str]) -> Reference {
    let words = if begun.is_empty() { skip(framework, words) } else { words };
    let mut components = begun.to_vec();
    let mut words = words.iter().peekable();
    while let Some(word) = words.peek() {
        let first = components.is_empty();
        if first || framework != Framework::Gdpr || !word.is_one_of(&BETWEEN) {
            if !is_component(word.text, first) {
                break;
            }
            if !first && word.is_apart() {
                return unknown(framework, Problem::Several);
            }
            components.push(word.text);
        }
        words.next();
    }
    if components.is_empty() {
        return match words.peek() {
            None => find(framework, &[]),
            Some(_) => unknown(framework, Problem::NoControl),
        };
    }
    // What is left is a title.
    if words.any(|word| word.has_digit()) {
        return unknown(framework, Problem::Several);
    }
    find(framework, &components)
}

/// A number, a letter or a Roman number; at the start also `CC6` or `A1`.
fn is_component(word: &str, first: bool) -> bool {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let letters = word.len() - digits.len();
    let numbered = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if first {
        return numbered && letters <= 2;
    }
    let roman = word.bytes().all(|byte| b"ivxIVX".contains(&byte));
    (numbered && letters == 0) || (digits.is_empty() && letters == 1) || roman
}

/// The listed control that is named, or the nearest above it.
fn find(framework: Framework, components: &[&str]) -> Reference {
    let complete = framework.catalogue().complete;
    for count in (1..=components.len()).rev() {
        let Some(control) = framework.control(&components[..count]) else { continue };
        let deeper = &components[count..];
        if complete && deeper.first().is_some_and(|next| next.bytes().all(|byte| byte.is_ascii_digit()))
        {
            break;
        }
        let canonical = framework.canonical(&joined(framework, &control.id, deeper));
        return Reference::Control { framework, control: &control.id, canonical };
    }
    match framework.below(components).next() {
        Some(_) if components.is_empty() => {
            Reference::Part { framework, canonical: framework.catalogue().name.clone() }
        }
        Some(control) => {
            let canonical = framework.canonical(beginning(control, components.len()));
            Reference::Part { framework, canonical }
        }
        None => {
            let first = components.first().copied().unwrap_or_default();
            let id = match (framework, components.get(1)) {
                (Framework::Hipaa, Some(section)) => {
                    joined(framework, &format!("{first}.{section}"), &components[2..])
                }
                _ => joined(framework, first, components.get(1..).unwrap_or_default()),
            };
            unknown(framework, Problem::NotListed { id })
        }
    }
}

/// An identifier with further components, as its framework writes them.
fn joined(framework: Framework, id: &str, deeper: &[&str]) -> String {
    let law = matches!(framework, Framework::Gdpr | Framework::Hipaa);
    deeper.iter().fold(
        id.to_owned(),
        |id, next| if law { format!("{id}({next})") } else { format!("{id}.{next}") },
    )
}

/// The first components of a control's identifier, as it is written.
fn beginning(control: &Control, count: usize) -> &str {
    let first = words(&control.id).into_iter().take(count);
    let end = first.map(|word| word.before.len() + word.text.len()).sum();
    let end = if control.id[end..].starts_with(')') { end + 1 } else { end };
    &control.id[..end]
}

fn unknown(framework: Framework, problem: Problem) -> Reference {
    Reference::Unknown { framework, problem }
}

#[cfg(test)]
mod tests;
