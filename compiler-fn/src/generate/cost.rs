//! The worst-case cost of a decision, read off the code that was generated.
//!
//! Every body is walked once, after all were made: straight-line code is counted, an `if` costs its dearer arm, a
//! call what its callee costs. What the code alone does not tell stands beside it as [`Hint`]s, in the order of
//! the instructions that they are about: how often a loop is passed, how many bytes a call looks through, where
//! an indirect call may lead. An instruction that lacks its hint is an error, so that none is forgotten.
//!
//! A cost is a polynomial in two sizes ([`Steps`]). To a helper, *n* is the number of bytes that a call has it look
//! through, and *p* the size of what it looks for, or what that has beyond a multiple of eight bytes; its callers
//! put their own sizes in their place. To every other function, *n* is the number of bytes of the request's texts
//! and lists, and there is no *p*.
//!
//! What is remembered for a decision ([`Hint::Remembered`]) is worked out once for all calls, and so counts once
//! for the module and not where it is called.

mod steps;

use aecp_contract::cost::Cost;
use wasm_encoder::Function;
use wasmparser::{BinaryReader, FunctionBody, Operator, OperatorsReader};

use self::steps::Steps;
pub(super) use self::steps::{Passes, Size};

/// The body of a function, and what its code does not tell.
#[derive(Debug)]
pub(super) struct Body {
    /// Locals and instructions, as a module's code section holds them.
    pub(super) code: Vec<u8>,
    hints: Vec<Hint>,
}

impl Body {
    /// With the hints in the order of their instructions.
    pub(super) fn new(function: Function, hints: Vec<Hint>) -> Self {
        Self { code: function.into_raw_body(), hints }
    }
}

/// What the generator knows of an instruction.
#[derive(Debug, Clone)]
pub(super) enum Hint {
    /// Of a `loop`.
    Passes(Passes),
    /// Of a call to a helper whose cost depends on sizes: the helper's *n* and *p*.
    Call(Size, Size),
    /// Of `call_indirect`: the functions that it may call.
    Indirect(Vec<u32>),
    /// Of an instruction that writes this many bytes.
    Bulk(Size),
    /// Of an `if`: whenever its `else` was taken, it is not taken again in the same decision.
    Remembered,
}

/// Why a cost cannot be told; a fault of the generator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("function {function} has no worst-case cost: {reason}")]
pub struct Unbounded {
    /// The function's index in the module.
    pub function: u32,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// What the functions counted so far cost, the module's first first.
#[derive(Debug)]
pub(super) struct Counter {
    functions: Vec<Steps>,
    helpers: usize,
    /// What is spent at most once a decision.
    once: Steps,
}

impl Counter {
    /// The first `helpers` functions take sizes of their own.
    pub(super) fn new(helpers: usize) -> Self {
        Self { functions: Vec::new(), helpers, once: Steps::default() }
    }

    /// Counts the module's next function.
    ///
    /// # Errors
    /// [`Unbounded`].
    pub(super) fn add(&mut self, body: &Body) -> Result<(), Unbounded> {
        let function = self.functions.len() as u32;
        let code = FunctionBody::new(BinaryReader::new(&body.code, 0));
        let steps = code.get_operators_reader().map_err(|_| BROKEN).and_then(|code| {
            let mut walk = Walk { counter: self, code, hints: &body.hints };
            let (steps, _) = walk.sequence()?;
            if walk.hints.is_empty() { Ok(steps) } else { Err("a hint has no instruction") }
        });
        let steps = steps.map_err(|reason| Unbounded { function, reason })?;
        self.functions.push(Steps::constant(1).plus(steps)); // one to enter it
        Ok(())
    }

    /// The cost of a decision that `function` makes, which is no helper.
    pub(super) fn decision(&self, function: u32) -> Cost {
        let called = self.functions.get(function as usize).copied().unwrap_or_default();
        let Steps { base, n: linear, nn: quadratic, .. } = called.plus(self.once);
        Cost { base, linear, quadratic }
    }
}

const BROKEN: &str = "its code cannot be read";

/// A walk through one body.
struct Walk<'a> {
    counter: &'a mut Counter,
    code: OperatorsReader<'a>,
    hints: &'a [Hint],
}

impl Walk<'_> {
    /// The cost up to the matching `end` or `else`, and whether it was `else`.
    fn sequence(&mut self) -> Result<(Steps, bool), &'static str> {
        let mut total = Steps::default();
        loop {
            let steps = match self.code.read().map_err(|_| BROKEN)? {
                Operator::End => return Ok((total, false)),
                Operator::Else => return Ok((total, true)),
                Operator::Block { .. } => self.sequence()?.0,
                Operator::Loop { .. } => {
                    let Some(Hint::Passes(passes)) = self.hint() else {
                        return Err("a loop has no bound");
                    };
                    let pass = Steps::constant(1).plus(self.sequence()?.0);
                    pass.repeated(passes).ok_or("a loop's body grows too fast")?
                }
                Operator::If { .. } => self.branch()?,
                Operator::Call { function_index } => Steps::constant(1).plus(self.call(function_index)?),
                Operator::CallIndirect { .. } => {
                    let Some(Hint::Indirect(functions)) = self.hint() else {
                        return Err("an indirect call has no list of what it may call");
                    };
                    let callees = functions.iter().map(|function| self.callee(*function));
                    let dearest = callees.reduce(|a, b| Ok(a?.or(b?)));
                    Steps::constant(1).plus(dearest.ok_or("an indirect call calls nothing")??)
                }
                Operator::MemoryFill { .. } | Operator::MemoryCopy { .. } => {
                    let Some(Hint::Bulk(size)) = self.hint() else {
                        return Err("a bulk instruction has no bound");
                    };
                    let bytes = Steps { n: 1, ..Steps::default() }.with(size, Size::NONE);
                    Steps::constant(1).plus(bytes.unwrap_or_default())
                }
                Operator::Nop | Operator::Drop | Operator::Return | Operator::Unreachable => {
                    Steps::default()
                }
                operator if is_simple(&operator) => Steps::constant(1),
                _ => return Err("it has an instruction whose cost is not known"),
            };
            total = total.plus(steps);
        }
    }

    /// From after an `if` to its `end`.
    fn branch(&mut self) -> Result<Steps, &'static str> {
        let remembered = matches!(self.hints.first(), Some(Hint::Remembered));
        if remembered {
            self.hint();
        }
        let entered = Steps::constant(2); // the instruction, and the arm that it enters
        let (then, has_else) = self.sequence()?;
        if !has_else {
            return Ok(entered.plus(then));
        }
        let (otherwise, _) = self.sequence()?;
        if remembered {
            self.counter.once = self.counter.once.plus(otherwise);
            return Ok(entered.plus(then));
        }
        Ok(entered.plus(then.or(otherwise)))
    }

    fn call(&mut self, function: u32) -> Result<Steps, &'static str> {
        let steps = self.callee(function)?;
        if function as usize >= self.counter.helpers || steps.is_constant() {
            return Ok(steps);
        }
        let Some(Hint::Call(n, p)) = self.hint() else { return Err("a call does not say its sizes") };
        steps.with(n, p).ok_or("a call grows with the square of what is looked for")
    }

    fn callee(&self, function: u32) -> Result<Steps, &'static str> {
        // Only what stands before it may be called: no recursion.
        self.counter.functions.get(function as usize).copied().ok_or("it calls a function after it")
    }

    fn hint(&mut self) -> Option<Hint> {
        let (first, rest) = self.hints.split_first()?;
        self.hints = rest;
        Some(first.clone())
    }
}

/// Whether it is one of the instructions that the generator uses beside those of control, each of constant cost.
fn is_simple(operator: &Operator<'_>) -> bool {
    use Operator::*;
    matches!(
        operator,
        Br { .. }
            | BrIf { .. }
            | Select
            | LocalGet { .. }
            | LocalSet { .. }
            | LocalTee { .. }
            | GlobalGet { .. }
            | GlobalSet { .. }
            | I32Const { .. }
            | I64Const { .. }
            | I32Load { .. }
            | I32Load8U { .. }
            | I32Load16U { .. }
            | I64Load { .. }
            | I32Store { .. }
            | I32Store8 { .. }
            | I32Store16 { .. }
            | I32Eqz
            | I32Eq
            | I32Ne
            | I32LtS
            | I32LtU
            | I32GtS
            | I32GtU
            | I32LeU
            | I32GeS
            | I32GeU
            | I64Eq
            | I64Ne
            | I64LtS
            | I64LtU
            | I64GtS
            | I64GtU
            | I64LeS
            | I64LeU
            | I64GeS
            | I64GeU
            | I32Add
            | I32Sub
            | I32Mul
            | I32And
            | I32Or
            | I32Shl
            | I32ShrU
            | I64Add
            | I64Sub
            | I64Mul
            | I64And
            | I64Or
            | I64Xor
            | I64Shl
            | I64ShrU
            | I64Rotl
            | I32WrapI64
            | I64ExtendI32U
    )
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{BlockType, InstructionSink};

    use super::*;

    fn body(hints: &[Hint], write: impl FnOnce(&mut InstructionSink<'_>)) -> Body {
        let mut function = Function::new([]);
        write(&mut function.instructions());
        function.instructions().end();
        Body::new(function, hints.to_vec())
    }

    fn steps(body: &Body) -> Result<Steps, &'static str> {
        let mut counter = Counter::new(1);
        // A helper: two for each byte.
        counter.functions.push(Steps { n: 2, ..Steps::constant(10) });
        counter.add(body).map_err(|unbounded| unbounded.reason)?;
        Ok(counter.functions[1].plus(counter.once))
    }

    fn endless(code: &mut InstructionSink<'_>) {
        code.loop_(BlockType::Empty).i32_const(1).br_if(0).end();
    }

    #[test]
    fn code_whose_cost_is_not_told_is_refused() {
        assert_eq!(steps(&body(&[], endless)), Err("a loop has no bound"));
        let wrong = [Hint::Indirect(vec![0])];
        assert_eq!(steps(&body(&wrong, endless)), Err("a loop has no bound"));
        let indirect = body(&[], |code| _ = code.i32_const(0).call_indirect(0, 0));
        assert_eq!(steps(&indirect), Err("an indirect call has no list of what it may call"));
        let helper = body(&[], |code| _ = code.call(0));
        assert_eq!(steps(&helper), Err("a call does not say its sizes"));
        let itself = body(&[], |code| _ = code.call(1));
        assert_eq!(steps(&itself), Err("it calls a function after it"));
        let fill = body(&[], |code| {
            code.i32_const(0).i32_const(0).i32_const(9).memory_fill(0);
        });
        assert_eq!(steps(&fill), Err("a bulk instruction has no bound"));
        let grow = body(&[], |code| _ = code.i32_const(1).memory_grow(0).drop());
        assert_eq!(steps(&grow), Err("it has an instruction whose cost is not known"));
        let left = body(&[Hint::Remembered], |_| ());
        assert_eq!(steps(&left), Err("a hint has no instruction"));
    }

    #[test]
    fn loops_cost_their_passes_and_share_out_the_bytes_that_they_look_at() {
        // Entering the function, and for each pass entering it, a constant and a branch.
        let told = |passes| steps(&body(&[Hint::Passes(passes)], endless));
        assert_eq!(told(Passes::AtMost(7)), Ok(Steps::constant(1 + 7 * 3)));
        assert_eq!(told(Passes::Every(2)), Ok(Steps { n: 2, ..Steps::constant(1 + 3) }));
        assert_eq!(told(Passes::NTimesP), Ok(Steps { p: 3, np: 3, ..Steps::constant(1) }));
        let hints = [Hint::Passes(Passes::Every(1)), Hint::Call(Size::N, Size::NONE)];
        let searching = body(&hints, |code| {
            code.loop_(BlockType::Empty).call(0).i32_const(1).br_if(0).end();
        });
        // 14 a pass, of which there are n + 1, and the helper's 2 for each byte only once.
        assert_eq!(steps(&searching), Ok(Steps { n: 14 + 2, ..Steps::constant(1 + 14) }));
    }

    #[test]
    fn an_if_costs_its_dearer_arm_and_what_is_remembered_costs_once_a_decision() {
        let code = |code: &mut InstructionSink<'_>| {
            code.i32_const(0).if_(BlockType::Empty).i32_const(1).drop();
            code.else_().i32_const(1).i32_const(2).drop().drop().end();
        };
        assert_eq!(steps(&body(&[], code)), Ok(Steps::constant(1 + 1 + 2 + 2)));
        let mut counter = Counter::new(0);
        counter.add(&body(&[Hint::Remembered], code)).unwrap();
        assert_eq!(counter.functions[0], Steps::constant(1 + 1 + 2 + 1));
        assert_eq!(counter.once, Steps::constant(2));
        counter.add(&body(&[], |code| _ = code.call(0).call(0))).unwrap();
        assert_eq!(counter.decision(1), Cost { base: 1 + 2 * (1 + 5) + 2, linear: 0, quadratic: 0 });
    }
}
