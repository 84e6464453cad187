//! Is this module a program of the profile? Asked before it is published, and again before it is compiled.

use crate::{
    profile::{
        features, MAX_FUNCTIONS, MAX_FUNCTION_BYTES, MAX_FUNCTION_LOCALS, MAX_LABELS,
        MAX_MODULE_BYTES, MAX_NESTED_LOCALS, MAX_NESTING, MAX_PASSED_VALUES, MAX_TABLE_ELEMENTS,
        PROPOSALS_OFF,
    },
    stack::{is_reserved, RESERVED},
    wasi::{signature, Signature, WASI_MODULE},
};
use wasmparser::{
    types::{EntityType, TypesRef},
    BinaryReaderError, BlockType, Encoding, FuncType, FunctionBody, Operator, Parser, Payload,
    ValType, Validator, WasmFeatures,
};

/// First bytes of every module and component.
const MAGIC: &[u8] = b"\0asm";
/// Longest name that an error repeats, in characters.
const MAX_NAME: usize = 80;

/// Why a file is not a program of the profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Not WebAssembly at all.
    #[error("not a WASM module: the file does not begin with \\0asm; compile the program for wasm32-wasip1")]
    NotWasm,
    /// A component, as `wasm32-wasip2` makes them.
    #[error("a WASM component; rings run modules: compile the program for wasm32-wasip1")]
    Component,
    /// WebAssembly, but malformed.
    #[error("not a valid WASM module: {message} (at byte {offset})")]
    Invalid {
        /// What is wrong.
        message: String,
        /// Where, from the start of the file.
        offset: usize,
    },
    /// Uses proposals that are not in the profile.
    #[error("uses {}, which the profile leaves out; compile without", .names.join(" and "))]
    Proposal {
        /// Names of the proposals.
        names: Vec<&'static str>,
    },
    /// Larger than the profile allows.
    #[error("has {found} {what}; at most {limit} are accepted")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// Imports something that WASI preview 1 lacks.
    #[error("imports {module}.{name}, which WASI preview 1 lacks")]
    Import {
        /// The module's name in the import.
        module: String,
        /// The import's name.
        name: String,
    },
    /// Imports a function of WASI preview 1 with another type.
    #[error("imports {WASI_MODULE}.{name} with the wrong type {found}; it is {expected}")]
    ImportType {
        /// The function's name.
        name: String,
        /// Its type in WASI preview 1.
        expected: String,
        /// The type of the import.
        found: String,
    },
    /// No function `_start` is exported: a library, not a command.
    #[error(
        "exports no function _start without parameters and results; build a command, not a library"
    )]
    Start,
    /// Exports a name that is the host's.
    #[error(
        "exports {name:?}; names that begin with \"{RESERVED}\" are the host's: choose another"
    )]
    Reserved {
        /// The name.
        name: String,
    },
    /// No memory is exported as `memory`.
    #[error("exports no memory named \"memory\"")]
    Memory,
}

/// Checks that a file is a WASI preview 1 command within the profile.
///
/// # Errors
/// [`ProfileError`], naming the import, the proposal or the limit. The same file gives the same error on
/// every machine.
pub fn check_module(module: &[u8]) -> Result<(), ProfileError> {
    bounded("bytes", module.len() as u64, MAX_MODULE_BYTES as u64)?;
    check_encoding(module)?;
    check_sizes(module)?;
    let types = Validator::new_with_features(features())
        .validate_all(module)
        .map_err(|error| explain(module, &error))?;
    check_imports(&types.as_ref())?;
    check_exports(&types.as_ref())
}

fn bounded(what: &'static str, found: u64, limit: u64) -> Result<(), ProfileError> {
    if found > limit {
        return Err(ProfileError::TooLarge { what, found, limit });
    }
    Ok(())
}

fn check_encoding(module: &[u8]) -> Result<(), ProfileError> {
    if !module.starts_with(MAGIC) {
        return Err(ProfileError::NotWasm);
    }
    match Parser::new(0).parse_all(module).next() {
        Some(Ok(Payload::Version {
            encoding: Encoding::Component,
            ..
        })) => Err(ProfileError::Component),
        Some(Err(error)) => Err(invalid(&error)),
        _ => Ok(()),
    }
}

/// The named limits, before anything that takes time in proportion to what they bound.
fn check_sizes(module: &[u8]) -> Result<(), ProfileError> {
    let malformed = |error: BinaryReaderError| explain(module, &error);
    let mut tables = 0u64;
    let mut arities = Arities::default();
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(malformed)? {
            Payload::TypeSection(section) => {
                let types = section.into_iter_err_on_gc_types();
                let arity = |ty: FuncType| (ty.params().len() as u64, ty.results().len() as u64);
                let types = types.map(|ty| ty.map(arity));
                arities.types = types.collect::<Result<_, _>>().map_err(malformed)?;
            }
            Payload::FunctionSection(section) => {
                bounded("functions", section.count().into(), MAX_FUNCTIONS as u64)?;
                let functions = section.into_iter().collect::<Result<Vec<_>, _>>();
                arities.functions = functions.map_err(malformed)?.into_iter();
            }
            Payload::TableSection(section) => {
                for table in section {
                    let table = table.map_err(malformed)?;
                    tables = tables.saturating_add(table.ty.initial);
                    bounded("table elements", tables, MAX_TABLE_ELEMENTS)?;
                }
            }
            Payload::CodeSectionEntry(body) => {
                let params = arities.next_params();
                check_body(module, &body, params, &arities)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// How many values types take and give. What is missing or wrong here is the validator's to say.
#[derive(Default)]
struct Arities {
    types: Vec<(u64, u64)>,
    /// Types of the functions whose bodies are still to come.
    functions: std::vec::IntoIter<u32>,
}

impl Arities {
    fn next_params(&mut self) -> u64 {
        let ty = self.functions.next();
        let ty = ty.and_then(|ty| self.types.get(ty as usize));
        ty.map_or(0, |(params, _)| *params)
    }

    fn of(&self, block: BlockType) -> u64 {
        match block {
            BlockType::Empty => 0,
            BlockType::Type(_) => 1,
            BlockType::FuncType(ty) => {
                let ty = self.types.get(ty as usize);
                ty.map_or(0, |(params, results)| params + results)
            }
        }
    }
}

fn check_body(
    module: &[u8],
    body: &FunctionBody<'_>,
    params: u64,
    arities: &Arities,
) -> Result<(), ProfileError> {
    let length = body.range().len() as u64;
    bounded("bytes in one function", length, MAX_FUNCTION_BYTES as u64)?;
    let malformed = |error: BinaryReaderError| explain(module, &error);
    let mut locals = 0u64;
    for group in body.get_locals_reader().map_err(malformed)? {
        let (count, _) = group.map_err(malformed)?;
        locals += u64::from(count);
        bounded("locals in one function", locals, MAX_FUNCTION_LOCALS.into())?;
    }
    check_operators(body, params + locals, arities).map_err(malformed)?
}

/// Bounds the depth of `if` and `loop`, the values that go through all blocks, and the labels of each `br_table`. The outer
/// error is one of the reader.
fn check_operators(
    body: &FunctionBody<'_>,
    locals: u64,
    arities: &Arities,
) -> Result<Result<(), ProfileError>, BinaryReaderError> {
    let mut nesting = Nesting {
        locals,
        ..Nesting::default()
    };
    let mut reader = body.get_operators_reader()?;
    while !reader.eof() {
        let bounds = match reader.read()? {
            Operator::If { blockty } | Operator::Loop { blockty } => {
                nesting.open(true, arities.of(blockty))
            }
            Operator::Block { blockty } => nesting.open(false, arities.of(blockty)),
            Operator::End => nesting.close(),
            Operator::BrTable { targets } => {
                let labels = targets.len().into();
                bounded("labels in one br_table", labels, MAX_LABELS.into())
            }
            _ => Ok(()),
        };
        if bounds.is_err() {
            return Ok(bounds);
        }
    }
    Ok(Ok(()))
}

/// How deep a place in a function is.
#[derive(Default)]
struct Nesting {
    deep: usize,
    /// Of the function, parameters counted.
    locals: u64,
    /// Values that the blocks so far take and give.
    passed: u64,
    /// Whether each open block counts.
    blocks: Vec<bool>,
}

impl Nesting {
    fn open(&mut self, counts: bool, passed: u64) -> Result<(), ProfileError> {
        self.passed += passed;
        let what = "values that blocks of one function take and give";
        bounded(what, self.passed, MAX_PASSED_VALUES)?;
        self.blocks.push(counts);
        self.deep += usize::from(counts);
        let (found, limit) = (self.deep as u64, MAX_NESTING as u64);
        bounded("nested ifs and loops", found, limit)?;
        let (what, product) = ("locals times nested ifs and loops", self.locals * found);
        bounded(what, product, MAX_NESTED_LOCALS)
    }

    fn close(&mut self) -> Result<(), ProfileError> {
        self.deep -= usize::from(self.blocks.pop() == Some(true));
        Ok(())
    }
}

/// Turns a validator's refusal into the names of the proposals that would have made the module valid, if
/// some would.
fn explain(module: &[u8], error: &BinaryReaderError) -> ProfileError {
    let names = missing_proposals(module);
    if names.is_empty() {
        return invalid(error);
    }
    ProfileError::Proposal { names }
}

fn invalid(error: &BinaryReaderError) -> ProfileError {
    ProfileError::Invalid {
        message: error.message().chars().take(200).collect(),
        offset: error.offset(),
    }
}

/// A smallest set of further proposals with which the module is valid; empty if there is none.
fn missing_proposals(module: &[u8]) -> Vec<&'static str> {
    let valid = |set: WasmFeatures| {
        Validator::new_with_features(set)
            .validate_all(module)
            .is_ok()
    };
    let mut needed = PROPOSALS_OFF
        .iter()
        .fold(features(), |set, (_, flag)| set | *flag);
    if !valid(needed) {
        return Vec::new();
    }
    for (_, flag) in PROPOSALS_OFF {
        if valid(needed - *flag) {
            needed -= *flag;
        }
    }
    PROPOSALS_OFF
        .iter()
        .filter(|(_, flag)| needed.contains(*flag))
        .map(|(name, _)| *name)
        .collect()
}

fn check_imports(types: &TypesRef<'_>) -> Result<(), ProfileError> {
    for (module, name, entity) in types.core_imports().into_iter().flatten() {
        let expected = Some(name)
            .filter(|_| module == WASI_MODULE)
            .and_then(signature)
            .ok_or_else(|| ProfileError::Import {
                module: short(module),
                name: short(name),
            })?;
        check_import_type(types, name, expected, entity)?;
    }
    Ok(())
}

fn check_import_type(
    types: &TypesRef<'_>,
    name: &str,
    expected: &Signature,
    entity: EntityType,
) -> Result<(), ProfileError> {
    let found = match function_type(types, entity) {
        Some(ty) if matches(expected, ty) => return Ok(()),
        Some(ty) => show(ty.params(), ty.results()),
        None => "that is not a function".into(),
    };
    Err(ProfileError::ImportType {
        name: short(name),
        expected: show(&expected.params(), &expected.results()),
        found,
    })
}

fn check_exports(types: &TypesRef<'_>) -> Result<(), ProfileError> {
    let mut names = types.core_exports().into_iter().flatten();
    if let Some((name, _)) = names.find(|(name, _)| is_reserved(name)) {
        return Err(ProfileError::Reserved { name: short(name) });
    }
    let export = |wanted: &str| {
        types
            .core_exports()
            .into_iter()
            .flatten()
            .find(|(name, _)| *name == wanted)
            .map(|(_, entity)| entity)
    };
    if !matches!(export("memory"), Some(EntityType::Memory(_))) {
        return Err(ProfileError::Memory);
    }
    let start = export("_start").and_then(|entity| function_type(types, entity));
    match start {
        Some(ty) if ty.params().is_empty() && ty.results().is_empty() => Ok(()),
        _ => Err(ProfileError::Start),
    }
}

fn function_type<'a>(types: &TypesRef<'a>, entity: EntityType) -> Option<&'a FuncType> {
    match entity {
        EntityType::Func(id) => match &types.get(id)?.composite_type.inner {
            wasmparser::CompositeInnerType::Func(ty) => Some(ty),
            _ => None,
        },
        _ => None,
    }
}

fn matches(expected: &Signature, found: &FuncType) -> bool {
    expected.params() == found.params() && expected.results() == found.results()
}

fn show(params: &[ValType], results: &[ValType]) -> String {
    let list = |types: &[ValType]| {
        let names: Vec<_> = types.iter().map(ToString::to_string).collect();
        names.join(" ")
    };
    format!("({}) -> ({})", list(params), list(results))
}

fn short(name: &str) -> String {
    name.chars().take(MAX_NAME).collect()
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
