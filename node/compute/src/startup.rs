//! What the engine compiles to set up a module's memory, tables and globals before its first instruction.
//!
//! Most of it needs no code: data at constant places becomes an image of the memory, functions at constant places an image of the
//! table, and numbers the first values of globals. The engine makes code for the rest, a call or more for each piece, all in one
//! function, and compiles that. [`Startup`] follows the engine's rules and counts the pieces: their effort is part of that of the
//! module (`effort.rs`), and their number has a bound ([`MAX_COMPUTED`]), because the compiler needs memory for all at once.
//!
//! The rules are those of `wasmtime-environ` (`try_static_init` and `try_func_table_init`), or stricter.

use crate::{
    bounds::{MAX_COMPUTED, PAGE},
    profile_error::{bounded, ProfileError},
};
use wasmparser::{
    BinaryReaderError, ConstExpr, Data, DataKind, DataSectionReader, Element, ElementItems,
    ElementKind, ElementSectionReader, GlobalSectionReader, MemorySectionReader, Operator, Payload,
    TableSectionReader,
};

/// For a segment of data.
const DATA: u64 = 200_000;
/// For a segment of a table, and for one that is kept for later.
const SEGMENT: u64 = 80_000;
/// For a function in such a segment.
const ITEM: u64 = 60_000;
/// For an expression in a segment.
const EXPRESSION: u64 = 70_000;
/// For a global whose first value is not a number.
const GLOBAL: u64 = 110_000;
/// The largest image of a memory that is made whatever is in it, in bytes.
const DENSE_IMAGE: u64 = 16 << 20;
/// The largest image of a table, in elements.
const TABLE_IMAGE: u64 = 1 << 20;

/// The pieces of a module's start so far.
#[derive(Debug, Default)]
pub(crate) struct Startup {
    effort: u64,
    computed: u64,
    /// Bytes that the memory has at first.
    memory: u64,
    /// Elements that each table has at first.
    tables: Vec<u64>,
    /// A segment could not become part of a table's image, so no later one does.
    tables_by_code: bool,
}

impl Startup {
    /// Looks at a section. Those that do not matter here are ignored.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn section(&mut self, payload: &Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::MemorySection(section) => self.memories(section),
            Payload::TableSection(section) => self.tables(section),
            Payload::GlobalSection(section) => self.globals(section),
            Payload::ElementSection(section) => self.elements(section),
            Payload::DataSection(section) => self.data(section),
            _ => Ok(()),
        }
    }

    /// The effort of compiling it.
    pub fn effort(&self) -> u64 {
        self.effort
    }

    /// Whether there are not too many pieces.
    ///
    /// # Errors
    /// When there are.
    pub fn check(&self) -> Result<(), ProfileError> {
        let what = "first values of memory, tables and globals that code has to compute";
        bounded(what, self.computed, MAX_COMPUTED)
    }

    fn add(&mut self, count: u64, each: u64) {
        self.computed = self.computed.saturating_add(count);
        self.effort = self.effort.saturating_add(count.saturating_mul(each));
    }

    fn memories(&mut self, section: &MemorySectionReader<'_>) -> Result<(), BinaryReaderError> {
        for memory in section.clone() {
            self.memory = memory?.initial.saturating_mul(PAGE);
        }
        Ok(())
    }

    fn tables(&mut self, section: &TableSectionReader<'_>) -> Result<(), BinaryReaderError> {
        for table in section.clone() {
            self.tables.push(table?.ty.initial);
        }
        Ok(())
    }

    fn globals(&mut self, section: &GlobalSectionReader<'_>) -> Result<(), BinaryReaderError> {
        for global in section.clone() {
            let is_number = is_number(&global?.init_expr)?;
            self.add(u64::from(!is_number), GLOBAL);
        }
        Ok(())
    }

    fn elements(&mut self, section: &ElementSectionReader<'_>) -> Result<(), BinaryReaderError> {
        for segment in section.clone() {
            let segment = segment?;
            let (count, each) = match &segment.items {
                ElementItems::Functions(items) => (items.count(), ITEM),
                ElementItems::Expressions(_, items) => (items.count(), EXPRESSION),
            };
            if !self.is_in_image(&segment)? {
                self.add(1, SEGMENT);
                self.add(count.into(), each);
            }
        }
        Ok(())
    }

    /// Whether no code is needed for a segment: it is only declared, or it becomes part of its table's image.
    fn is_in_image(&mut self, segment: &Element<'_>) -> Result<bool, BinaryReaderError> {
        let ElementItems::Functions(items) = &segment.items else {
            self.tables_by_code |= matches!(segment.kind, ElementKind::Active { .. });
            return Ok(false);
        };
        let (table, offset) = match &segment.kind {
            ElementKind::Declared => return Ok(true),
            ElementKind::Passive => return Ok(false),
            ElementKind::Active {
                table_index,
                offset_expr,
            } => (table_index.unwrap_or(0), constant_place(offset_expr)?),
        };
        let size = self.tables.get(table as usize).copied().unwrap_or(0);
        let fits =
            offset.is_some_and(|offset| offset + u64::from(items.count()) <= size.min(TABLE_IMAGE));
        self.tables_by_code |= !fits;
        Ok(!self.tables_by_code)
    }

    /// All segments of data become one image, or none of them does.
    fn data(&mut self, section: &DataSectionReader<'_>) -> Result<(), BinaryReaderError> {
        let (mut active, mut image) = (0, Some(Image::default()));
        for segment in section.clone() {
            let segment = segment?;
            let DataKind::Active { offset_expr, .. } = &segment.kind else {
                continue;
            };
            active += 1;
            let place = constant_place(offset_expr)?;
            image = image
                .zip(place)
                .and_then(|(image, place)| image.with(place, &segment, self.memory));
        }
        if !image.is_some_and(|image| image.is_dense()) {
            self.add(active, DATA);
        }
        Ok(())
    }
}

/// The extent of the data so far.
#[derive(Clone, Copy)]
struct Image {
    bytes: u64,
    first: u64,
    end: u64,
}

impl Default for Image {
    fn default() -> Self {
        Self {
            bytes: 0,
            first: u64::MAX,
            end: 0,
        }
    }
}

impl Image {
    /// With a segment, unless it is outside of the memory.
    fn with(self, place: u64, segment: &Data<'_>, memory: u64) -> Option<Self> {
        let bytes = segment.data.len() as u64;
        let end = place + bytes;
        if end > memory {
            return None;
        }
        Some(match bytes {
            0 => self,
            _ => Self {
                bytes: self.bytes + bytes,
                first: self.first.min(place),
                end: self.end.max(end),
            },
        })
    }

    fn is_dense(self) -> bool {
        let extent = self.end.saturating_sub(self.first);
        extent < DENSE_IMAGE || extent < 2 * self.bytes
    }
}

/// The place that an expression gives, if it is one constant.
fn constant_place(expression: &ConstExpr<'_>) -> Result<Option<u64>, BinaryReaderError> {
    let mut operators = expression.get_operators_reader();
    Ok(match (operators.read()?, operators.read()?) {
        (Operator::I32Const { value }, Operator::End) => Some(value.cast_unsigned().into()),
        _ => None,
    })
}

/// Whether an expression is one number.
fn is_number(expression: &ConstExpr<'_>) -> Result<bool, BinaryReaderError> {
    let mut operators = expression.get_operators_reader();
    let first = operators.read()?;
    let is_number = matches!(
        first,
        Operator::I32Const { .. }
            | Operator::I64Const { .. }
            | Operator::F32Const { .. }
            | Operator::F64Const { .. }
            | Operator::V128Const { .. }
    );
    Ok(is_number && matches!(operators.read()?, Operator::End))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::Parser;

    /// How many pieces a module needs code for.
    fn computed(rest: &str) -> u64 {
        let text = format!("(module (memory 2) (table $t 10 funcref) (func $f) {rest})");
        let module = wat::parse_str(text).unwrap();
        let mut startup = Startup::default();
        for payload in Parser::new(0).parse_all(&module) {
            startup.section(&payload.unwrap()).unwrap();
        }
        assert_eq!(startup.computed == 0, startup.effort == 0);
        startup.computed
    }

    #[test]
    fn what_becomes_an_image_needs_no_code() {
        for rest in [
            "(data (i32.const 8) \"abc\") (data (i32.const 131071) \"x\") (data \"passive\")",
            "(elem (i32.const 0) $f $f) (elem (i32.const 8) $f $f) (elem declare func $f)",
            "(global i32 (i32.const 1)) (global (mut f64) (f64.const 1)) (global v128 (v128.const i64x2 1 2))",
        ] {
            assert_eq!(computed(rest), 0, "{rest}");
        }
    }

    #[test]
    fn what_does_not_is_counted() {
        for (count, rest) in [
            // One place that is not constant, or outside of the memory: then all data are set by code.
            (2, "(global $g i32 (i32.const 1)) (data (i32.add (i32.const 0) (i32.const 0)) \"x\") (data (i32.const 0) \"y\")"),
            (3, "(data (i32.const 0) \"x\") (data (i32.const 1) \"y\") (data (i32.const 131072) \"z\")"),
            // In tables, all segments behind such a one.
            (5, "(elem (i32.const 0) $f) (elem (i32.const 9) $f $f) (elem (i32.const 2) $f)"),
            (3, "(elem func $f $f)"),
            (3, "(elem (table $t) (offset (i32.const 0)) funcref (ref.func $f) (ref.null func))"),
            (2, "(global funcref (ref.func $f)) (global i32 (i32.add (i32.const 1) (i32.const 1)))"),
            (1, "(global externref (ref.null extern))"),
        ] {
            assert_eq!(computed(rest), count, "{rest}");
        }
    }

    #[test]
    fn an_image_with_much_room_between_its_data_is_not_made() {
        let module = |offset: u32| {
            let text = format!(
                "(module (memory 1000) (data (i32.const 0) \"x\") (data (i32.const {offset}) \"y\"))"
            );
            let module = wat::parse_str(text).unwrap();
            let mut startup = Startup::default();
            for payload in Parser::new(0).parse_all(&module) {
                startup.section(&payload.unwrap()).unwrap();
            }
            startup.computed
        };
        assert_eq!((module(1 << 23), module(1 << 25)), (0, 2));
    }
}
