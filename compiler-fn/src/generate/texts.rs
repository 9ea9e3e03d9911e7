//! Which texts become small integers, and how the generated module finds them.
//!
//! An ENUM attribute, and a STRING attribute that is compared with at least [`MIN_TEXTS`] different constants,
//! is looked up once per decision, the first time that anything asks: its text becomes the number of the
//! constant that it equals, 0 for any other text, −1 if the attribute is not usable. Every comparison with a
//! constant is then a comparison of integers. An attribute that meets fewer constants is compared with them
//! byte by byte in the code itself; nothing is hashed that nobody asks for.
//!
//! The lookup is open addressing over a table in the module's constants. The hash mixes the length, the first
//! and the last eight bytes; its multiplier is chosen when the set is compiled, so that no chain of collisions
//! is longer than necessary (usually none is).

use std::collections::{BTreeMap, BTreeSet};

use aecp_contract::value::Type;

use super::{lower::Constant, memory::Memory};

/// From how many different constants on an attribute is looked up instead of compared.
const MIN_TEXTS: usize = 3;

/// Multipliers tried; the first is that of Fibonacci hashing, and each next one follows from it.
const TRIES: u64 = 64;
const FIRST_MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Bytes of one entry: address and length of the text, its number, padding.
pub(super) const ENTRY: u32 = 16;

/// The constants of one attribute.
#[derive(Debug)]
pub(super) struct Lookup {
    /// The constants; number *n* is at index *n* − 1.
    constants: Vec<Vec<u8>>,
    /// Whether every usable value is one of them (ENUM).
    pub(super) closed: bool,
}

/// Where a lookup table lies and how it is addressed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    pub(super) address: u32,
    pub(super) multiplier: u64,
    /// The hash's upper `64 - shift` bits are the place.
    pub(super) shift: u32,
    /// The most entries that a lookup may meet one after the other, and the most bytes that their texts take.
    pub(super) chain: (u64, u64),
}

impl Lookup {
    /// The attribute's numbering if it is looked up: it is an ENUM, or compared with texts enough.
    pub(super) fn new(ty: &Type, compared: BTreeSet<Vec<u8>>) -> Option<Self> {
        let (constants, closed): (BTreeSet<_>, _) = match ty {
            Type::Enum(members) => {
                (members.iter().map(|member| member.clone().into_bytes()).collect(), true)
            }
            Type::String if compared.len() >= MIN_TEXTS => (compared, false),
            _ => return None,
        };
        Some(Self { constants: constants.into_iter().collect(), closed })
    }

    /// How many numbers there are: 1 to this.
    pub(super) fn count(&self) -> u32 {
        self.constants.len() as u32
    }

    /// The number of a constant.
    pub(super) fn number(&self, constant: &Constant) -> Option<u32> {
        let Constant::Text(text) = constant else { return None };
        self.number_of(text)
    }

    fn number_of(&self, text: &[u8]) -> Option<u32> {
        let found = self.constants.binary_search_by(|constant| constant.as_slice().cmp(text));
        found.ok().map(|index| index as u32 + 1)
    }

    /// The numbers of a set of texts, or of all others, lowest and highest of each run; `None` if one that is
    /// told apart has no number.
    pub(super) fn numbers(&self, texts: &BTreeSet<Vec<u8>>, inverted: bool) -> Option<Vec<(u32, u32)>> {
        let named: BTreeSet<u32> =
            texts.iter().map(|text| self.number_of(text)).collect::<Option<_>>()?;
        if !inverted {
            return Some(named.into_iter().map(|number| (number, number)).collect());
        }
        let mut runs = Vec::new();
        let mut next = u32::from(self.closed);
        for number in named {
            if next < number {
                runs.push((next, number - 1));
            }
            next = number + 1;
        }
        if next <= self.count() {
            runs.push((next, self.count()));
        }
        Some(runs)
    }

    /// Lays the table out among the module's constants.
    pub(super) fn table(&self, memory: &mut Memory) -> Table {
        // At most half full, so that chains stay short.
        let bits = (self.constants.len() * 2).next_power_of_two().trailing_zeros().max(1);
        let shift = 64 - bits;
        let (_, multiplier) = (0..TRIES)
            .map(|n| {
                let multiplier = FIRST_MULTIPLIER.wrapping_mul(2 * n + 1) | 1;
                (self.place(multiplier, shift).1, multiplier)
            })
            .min()
            .unwrap_or((0, FIRST_MULTIPLIER));
        let (places, _) = self.place(multiplier, shift);
        // The chain of the last place runs on past the end; an empty entry ends every chain.
        let entries = places.keys().last().map_or(0, |last| last + 1).max(1 << bits) + 1;
        let chain = self.longest_chain(&places);
        let mut table = vec![0; entries * ENTRY as usize];
        for (place, index) in places {
            let text = &self.constants[index];
            let words = [memory.bytes(text), text.len() as u32, index as u32 + 1, 0];
            for (i, word) in words.into_iter().enumerate() {
                let at = place * ENTRY as usize + i * 4;
                table[at..at + 4].copy_from_slice(&word.to_le_bytes());
            }
        }
        Table { address: memory.aligned(table), multiplier, shift, chain }
    }

    /// The most entries without an empty one between them, and the most bytes in the texts of such entries.
    fn longest_chain(&self, places: &BTreeMap<usize, usize>) -> (u64, u64) {
        let (mut longest, mut entries, mut bytes, mut next) = ((0, 0), 0, 0, 0);
        for (place, index) in places {
            if *place != next {
                (entries, bytes) = (0, 0);
            }
            next = place + 1;
            entries += 1;
            bytes += self.constants[*index].len() as u64;
            longest = (entries.max(longest.0), bytes.max(longest.1));
        }
        longest
    }

    /// Where each constant comes to lie, and how far the unluckiest is from its place.
    fn place(&self, multiplier: u64, shift: u32) -> (BTreeMap<usize, usize>, usize) {
        let mut places = BTreeMap::new();
        let mut worst = 0;
        for (index, text) in self.constants.iter().enumerate() {
            let home = (hash(text, multiplier) >> shift) as usize;
            let mut place = home;
            while places.contains_key(&place) {
                place += 1;
            }
            worst = worst.max(place - home);
            places.insert(place, index);
        }
        (places, worst)
    }
}

/// The hash as the generated code computes it (`helpers.rs`).
fn hash(text: &[u8], multiplier: u64) -> u64 {
    let word = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    };
    let length = text.len() as u64;
    let (first, last) =
        if text.len() < 8 { (word(text), 0) } else { (word(&text[..8]), word(&text[text.len() - 8..])) };
    (first ^ last.rotate_left(23) ^ length).wrapping_mul(multiplier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_constant_is_found_at_its_place_and_collisions_are_few() {
        let constants: Vec<_> = (0..1000).map(|n| format!("resource_type_{n}").into_bytes()).collect();
        let lookup = Lookup { constants, closed: false };
        let (places, worst) = lookup.place(FIRST_MULTIPLIER, 64 - 11);
        let mut found: Vec<_> = places.values().copied().collect();
        found.sort_unstable();
        assert!(found.into_iter().eq(0..1000), "each constant has one place");
        assert!(worst < 20, "{worst} steps from its place");
    }
}
