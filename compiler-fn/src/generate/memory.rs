//! The module's fixed memory: the caller's arena, the verdict, then constants.
//!
//! ```text
//! 0      1024        1024 + 1 MiB
//! | free | arena ... | verdict, its lists, covered flags | cells | constants | (to the next page)
//! ```
//! Cells hold what was found out in the decision that their stamp names, so that nothing needs to be wiped
//! between decisions.

use std::collections::BTreeMap;

use aecp_contract::{
    slots::{ARENA_BASE, ARENA_SIZE},
    verdict::{Counts, VERDICT_SIZE},
};

use super::lower::Constant;

/// Bytes of a WebAssembly page.
const PAGE: u32 = 1 << 16;

/// Where everything lies.
#[derive(Debug)]
pub(super) struct Memory {
    /// The record `verdict`.
    pub(super) verdict: u32,
    /// Indexes of violated, indeterminate policies, uncovered modules and obligations.
    pub(super) lists: [u32; 4],
    /// One byte per module: whether a BLOCKING policy of it has a TRUE scope.
    pub(super) covered: u32,
    /// 8 bytes per numbered attribute: stamp, number.
    number_cells: u32,
    /// 4 bytes per shared atom: stamp times 4, plus its truth.
    atom_cells: u32,
    cells_end: u32,
    constants_base: u32,
    constants: Vec<u8>,
    placed: BTreeMap<(u32, Vec<u8>), u32>,
}

/// The constants do not fit a 32-bit memory, by far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the set's constants take more than {MAX_CONSTANTS} bytes; split the set")]
pub struct TooManyConstants;

/// The most bytes of constants.
const MAX_CONSTANTS: usize = 48 << 20;

impl Memory {
    pub(super) fn new(
        Counts { policies, modules, obligations }: Counts,
        numbers: usize,
        shared_atoms: usize,
    ) -> Self {
        let align = |address: u32| address.next_multiple_of(8);
        let verdict = align(ARENA_BASE + ARENA_SIZE);
        let violated = align(verdict + VERDICT_SIZE);
        let indeterminate = align(violated + 4 * policies as u32);
        let uncovered = align(indeterminate + 4 * policies as u32);
        let obliged = align(uncovered + 4 * modules as u32);
        let covered = align(obliged + 4 * obligations as u32);
        let number_cells = align(covered + modules as u32);
        let atom_cells = number_cells + 8 * numbers as u32;
        let cells_end = atom_cells + 4 * shared_atoms as u32;
        Self {
            verdict,
            lists: [violated, indeterminate, uncovered, obliged],
            covered,
            number_cells,
            atom_cells,
            cells_end,
            constants_base: align(cells_end),
            constants: Vec::new(),
            placed: BTreeMap::new(),
        }
    }

    /// The cell of numbered attribute number `index`.
    pub(super) fn number_cell(&self, index: u32) -> u32 {
        self.number_cells + 8 * index
    }

    /// The cell of shared atom number `index`.
    pub(super) fn atom_cell(&self, index: u32) -> u32 {
        self.atom_cells + 4 * index
    }

    /// Address and length of all cells.
    pub(super) fn cells(&self) -> (u32, u32) {
        (self.number_cells, self.cells_end - self.number_cells)
    }

    /// The address of these bytes among the constants, aligned for words.
    pub(super) fn aligned(&mut self, bytes: Vec<u8>) -> u32 {
        self.place(bytes, 8)
    }

    /// The address of these bytes among the constants.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> u32 {
        self.place(bytes.to_vec(), 1)
    }

    /// The address of a table of constants of one shape; text becomes (address, length).
    pub(super) fn table(&mut self, entries: &[Constant]) -> u32 {
        let mut table = Vec::new();
        for entry in entries {
            match entry {
                Constant::Byte(b) => table.push(u8::from(*b)),
                Constant::Word(n) => table.extend(n.to_le_bytes()),
                Constant::Wide(high, low) => {
                    table.extend(high.to_le_bytes());
                    table.extend(low.to_le_bytes());
                }
                Constant::Text(text) => {
                    table.extend(self.bytes(text).to_le_bytes());
                    table.extend((text.len() as u32).to_le_bytes());
                }
            }
        }
        self.place(table, 8)
    }

    fn place(&mut self, bytes: Vec<u8>, align: u32) -> u32 {
        let key = (align, bytes);
        if let Some(address) = self.placed.get(&key) {
            return *address;
        }
        let at = self.constants.len().next_multiple_of(align as usize);
        self.constants.resize(at, 0);
        self.constants.extend_from_slice(&key.1);
        let address = self.constants_base.wrapping_add(at as u32);
        self.placed.insert(key, address);
        address
    }

    /// The constants and where they go.
    ///
    /// # Errors
    /// [`TooManyConstants`].
    pub(super) fn constants(&self) -> Result<(u32, &[u8]), TooManyConstants> {
        if self.constants.len() > MAX_CONSTANTS {
            return Err(TooManyConstants);
        }
        Ok((self.constants_base, &self.constants))
    }

    /// The whole memory in pages.
    pub(super) fn pages(&self) -> u64 {
        u64::from(self.constants_base.saturating_add(self.constants.len() as u32).div_ceil(PAGE))
    }
}
