//! Whether a module is a program of the profile. It is checked before it is published, and again before it is compiled.
//!
//! [`check_module`] looks at a module in this order: what kind of file it is, the bounds (`sizes.rs`), validity under
//! the proposals of the profile (`features.rs`) together with the effort of compiling (`effort.rs`), imports (`wasi/signatures.rs`), and exports. The answer is the same on
//! every machine of one profile, so a module that fails is a result. The [`ProfileError`] says what is wrong in words
//! for the program's author; it names the proposal or the import, not only the place.

use crate::{
    bounds::MAX_MODULE_BYTES,
    effort::Effort,
    escape::escape_for_terminal,
    features::{features, PROPOSALS_OFF},
    profile_error::{bounded, ProfileError},
    reserved::is_reserved,
    sizes::{check_sizes, Demand, Refusal},
    wasi::{signature, Signature, WASI_MODULE},
};
use wasmparser::{
    types::{EntityType, Types, TypesRef},
    BinaryReaderError, Encoding, FuncType, Parser, Payload, ValType, ValidPayload, Validator,
    WasmFeatures,
};

/// First bytes of every module and component.
const MAGIC: &[u8] = b"\0asm";
/// Longest name that an error repeats, in characters.
const MAX_NAME: usize = 80;
/// Largest module, in bytes, for which the missing proposals are searched: it is validated some twenty times for that.
const MAX_EXPLAINED: usize = 4 << 20;
/// Longest type that an error repeats, in characters.
const MAX_TYPE: usize = 200;

/// Checks that a file is a WASI preview 1 command within the profile.
///
/// # Errors
/// [`ProfileError`], naming the import, the proposal or the limit. Whether a file is refused is the same on
/// every machine of one profile.
pub fn check_module(module: &[u8]) -> Result<(), ProfileError> {
    inspect(module).map(|_| ())
}

/// How much effort compiling a module takes, of [`MAX_EFFORT`](crate::MAX_EFFORT) units that a program may take.
///
/// # Errors
/// As [`check_module`].
pub fn compile_effort(module: &[u8]) -> Result<u64, ProfileError> {
    inspect(module).map(|needs| needs.effort)
}

/// What compiling a module needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    /// Of memory.
    pub demand: Demand,
    /// Of time.
    pub effort: u64,
}

/// Checks a module, and says what compiling it needs.
///
/// # Errors
/// As [`check_module`].
pub(crate) fn inspect(module: &[u8]) -> Result<Needs, ProfileError> {
    bounded("bytes", module.len() as u64, MAX_MODULE_BYTES as u64)?;
    check_encoding(module)?;
    let mut demand = check_sizes(module).map_err(|refusal| match refusal {
        Refusal::Malformed(error) => explain(module, &error),
        Refusal::Bound(error) => error,
    })?;
    let (types, effort) = validate(module).map_err(|refusal| match refusal {
        Refusal::Malformed(error) => explain(module, &error),
        Refusal::Bound(error) => error,
    })?;
    check_imports(&types.as_ref())?;
    check_exports(&types.as_ref())?;
    demand.alive = effort.most_alive();
    demand.entries = effort.most_entries();
    demand.again = effort.most_again();
    Ok(Needs {
        demand,
        effort: effort.total(),
    })
}

/// Validates the module, and bounds what compiling its functions takes.
fn validate(module: &[u8]) -> Result<(Types, Effort), Refusal> {
    let mut validator = Validator::new_with_features(features());
    let mut effort = Effort::new(module.len());
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        effort.declare(&payload)?;
        match validator.payload(&payload)? {
            ValidPayload::Func(function, body) => effort.add(function, &body)??,
            ValidPayload::End(types) => {
                effort.check()?;
                return Ok((types, effort));
            }
            _ => {}
        }
    }
    // A module without an end is malformed, which the reader has said.
    Ok((validator.end(module.len())?, effort))
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

/// Turns a validator's refusal into the names of the proposals that would have made the module valid, if
/// some would. Of a large module this would take long, and nobody pays for it.
fn explain(module: &[u8], error: &BinaryReaderError) -> ProfileError {
    if module.len() > MAX_EXPLAINED {
        return invalid(error);
    }
    let names = missing_proposals(module);
    if names.is_empty() {
        return invalid(error);
    }
    ProfileError::Proposal { names }
}

fn invalid(error: &BinaryReaderError) -> ProfileError {
    ProfileError::Invalid {
        message: escape_for_terminal(error.message().chars().take(200).collect::<String>()),
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
    let text = format!("({}) -> ({})", list(params), list(results));
    text.chars().take(MAX_TYPE).collect()
}

/// The start of a name, safe to show on a terminal: the module's author chose it.
fn short(name: &str) -> String {
    let start: String = name.chars().take(MAX_NAME).collect();
    escape_for_terminal(start)
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
