//! How many values the types and functions of a module take and give.
//!
//! Unknown indices count as no values here, because the validator reports them later.

use wasmparser::{BlockType, FuncType};

/// How many values something takes, and how many it gives.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Arity {
    /// Parameters.
    pub params: u64,
    /// Results.
    pub results: u64,
}

impl Arity {
    /// Of a type of functions.
    pub(crate) fn of(ty: &FuncType) -> Self {
        Self {
            params: ty.params().len() as u64,
            results: ty.results().len() as u64,
        }
    }

    /// Both together.
    pub(crate) fn all(self) -> u64 {
        self.params + self.results
    }
}

/// The arities of a module's types and functions.
#[derive(Debug, Default)]
pub(crate) struct Arities {
    /// By type index.
    pub types: Vec<Arity>,
    /// The type of each function, by function index: imported ones first.
    pub functions: Vec<u32>,
    /// How many bodies have been seen.
    bodies: usize,
    /// How many functions are imported.
    pub imported: usize,
}

impl Arities {
    /// Of the function whose body comes next.
    pub(crate) fn next_body(&mut self) -> Arity {
        let index = self.imported + self.bodies;
        self.bodies += 1;
        self.function(index as u32)
    }

    /// Of a type.
    pub(crate) fn ty(&self, index: u32) -> Arity {
        self.types.get(index as usize).copied().unwrap_or_default()
    }

    /// Of a function.
    pub(crate) fn function(&self, index: u32) -> Arity {
        let ty = self.functions.get(index as usize);
        ty.map_or(Arity::default(), |ty| self.ty(*ty))
    }

    /// Of a block.
    pub(crate) fn block(&self, block: BlockType) -> Arity {
        match block {
            BlockType::Empty => Arity::default(),
            BlockType::Type(_) => Arity {
                params: 0,
                results: 1,
            },
            BlockType::FuncType(ty) => self.ty(ty),
        }
    }
}
