//! Filters and maps: formulas in CEL (Common Expression Language), which all members have to evaluate alike.
//!
//! Three things make that so. Only integers, texts, booleans, lists and maps are allowed, and of the functions those that
//! depend on nothing else. A loop over a map goes over its keys in their order. And what an evaluation costs is counted, by
//! functions that are put into the syntax tree (`@each` before a loop, `@paid` around what makes a value), so that it ends
//! at the same step on every machine.

use crate::{
    bounds::{
        LOOP_DEPTH, MAX_FORMULA_BYTES, MAX_FORMULA_COST, MAX_FORMULA_DEPTH, MAX_FORMULA_NODES,
    },
    data::{Data, Fields},
    reference::Reference,
};
use cel::{
    common::ast::{
        operators, CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, ListExpr, LiteralValue,
    },
    objects::Key,
    Context, ExecutionError, Program, Value,
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc,
    },
};

/// Pays for a loop, and gives what it goes over as a list. No formula can call it, as it is no name.
const EACH: &str = "@each";
/// Pays for a value that was made.
const PAID: &str = "@paid";
/// Bytes of values for one unit of cost.
const BYTES_PER_UNIT: u64 = 16;
/// The functions and operators that a formula may use.
const ALLOWED: [&str; 24] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
    operators::NOT_STRICTLY_FALSE,
    operators::IN,
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "string",
];

/// A formula that was checked.
#[derive(Debug, Clone)]
pub struct Formula {
    expression: IdedExpr,
    nodes: u64,
    references: Vec<Reference>,
}

/// Why a formula is refused, or gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormulaError {
    /// It is too long.
    #[error("the formula has {length} bytes; at most {MAX_FORMULA_BYTES} are accepted: compute it in a task")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// It has too many parts.
    #[error("the formula has more than {MAX_FORMULA_NODES} parts; compute it in a task")]
    TooLarge,
    /// Its parts are nested too deep.
    #[error("the formula is nested deeper than {MAX_FORMULA_DEPTH} parts; compute it in a task")]
    TooDeep,
    /// It is not CEL.
    #[error("not a formula in CEL: {0}")]
    Syntax(String),
    /// It uses what members could see differently, or what is not there.
    #[error("a formula has no {0}; it may use integers, texts, true, false, null, lists, maps, the operators, size, contains, startsWith, endsWith, string, has, all, exists, exists_one, map and filter")]
    NotAllowed(String),
    /// It costs more than [`MAX_FORMULA_COST`].
    #[error("the formula costs more than {MAX_FORMULA_COST} steps with these data; compute it in a task")]
    Cost,
    /// It has no value with these data.
    #[error("the formula has no value with these data: {0}")]
    Value(String),
}

impl Formula {
    /// Reads and checks a formula.
    ///
    /// # Errors
    /// [`FormulaError`], but neither [`FormulaError::Cost`] nor [`FormulaError::Value`].
    pub fn compile(text: &str) -> Result<Self, FormulaError> {
        if text.len() > MAX_FORMULA_BYTES {
            return Err(FormulaError::TooLong { length: text.len() });
        }
        let program = Program::compile(text).map_err(|errors| {
            let text = errors.to_string();
            let line = text.lines().next().unwrap_or_default();
            FormulaError::Syntax(line.trim_start_matches("ERROR: <input>:").to_owned())
        })?;
        let mut tree = Tree::default();
        let expression = tree.walk(program.expression().clone())?;
        Ok(Self {
            expression,
            nodes: tree.nodes as u64,
            references: tree.references,
        })
    }

    /// The values that it names: roots and fields, in the order in which they stand there.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// Its value, with what is known under each root.
    ///
    /// # Errors
    /// [`FormulaError::Cost`] or [`FormulaError::Value`].
    pub fn evaluate(&self, known: &Fields) -> Result<Data, FormulaError> {
        let roots: BTreeSet<&str> = self
            .references
            .iter()
            .map(|each| each.root.as_str())
            .collect();
        let purse = Arc::new(Purse::new(self.nodes));
        let mut context = Context::default();
        for root in roots {
            if let Some(data) = known.get(root) {
                let value = value(data);
                purse.pay(size(&value));
                context.add_variable_from_value(root, value);
            }
        }
        let failed = |error: ExecutionError| FormulaError::Value(error.to_string());
        let each = Arc::clone(&purse);
        context
            .add_function(EACH, move |of: Value, nodes: i64| each.enter(of, nodes))
            .map_err(|error| FormulaError::Value(error.to_string()))?;
        let paid = Arc::clone(&purse);
        context
            .add_function(PAID, move |made: Value| paid.made(made))
            .map_err(|error| FormulaError::Value(error.to_string()))?;
        let result = Value::resolve(&self.expression, &context);
        if purse.is_empty() {
            return Err(FormulaError::Cost);
        }
        data(&result.map_err(failed)?)
    }
}

/// What is left of [`MAX_FORMULA_COST`], and the largest value so far.
struct Purse {
    left: AtomicU64,
    largest: AtomicU64,
}

impl Purse {
    fn new(nodes: u64) -> Self {
        Self {
            left: AtomicU64::new(MAX_FORMULA_COST.saturating_sub(nodes)),
            largest: AtomicU64::new(0),
        }
    }

    fn is_empty(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    fn take(&self, cost: u64) -> Result<(), ExecutionError> {
        // One thread evaluates; the counters are atomic only because the library asks for functions that could be shared.
        let left = self.left.load(Ordering::Relaxed).saturating_sub(cost);
        self.left.store(left, Ordering::Relaxed);
        match left {
            0 => Err(ExecutionError::function_error("cost", "too much")),
            _ => Ok(()),
        }
    }

    fn pay(&self, bytes: u64) {
        self.largest.fetch_max(bytes, Ordering::Relaxed);
        // What is given is paid for by whoever gives it; a purse that is empty is seen at the end.
        drop(self.take(bytes / BYTES_PER_UNIT));
    }

    /// A loop: each round may look at all of the largest value in each of its nodes.
    fn enter(&self, of: Value, nodes: i64) -> Result<Value, ExecutionError> {
        let list = in_order(of);
        if let Value::List(items) = &list {
            let looks = 1 + self.largest.load(Ordering::Relaxed) / BYTES_PER_UNIT;
            let nodes = u64::try_from(nodes).unwrap_or(u64::MAX);
            let rounds = items.len() as u64;
            self.take(rounds.saturating_mul(nodes).saturating_mul(looks))?;
        }
        Ok(list)
    }

    fn made(&self, value: Value) -> Result<Value, ExecutionError> {
        let bytes = size(&value);
        self.largest.fetch_max(bytes, Ordering::Relaxed);
        self.take(1 + bytes / BYTES_PER_UNIT)?;
        Ok(value)
    }
}

/// A map as the list of its keys, in their order; everything else as it is.
fn in_order(value: Value) -> Value {
    let Value::Map(map) = &value else {
        return value;
    };
    let mut keys: Vec<&Key> = map.map.keys().collect();
    keys.sort_unstable();
    Value::List(Arc::new(keys.into_iter().map(Value::from).collect()))
}

/// Bytes of a value, about.
fn size(value: &Value) -> u64 {
    const HEAD: u64 = 8;
    match value {
        Value::String(text) => HEAD + text.len() as u64,
        Value::List(list) => list.iter().map(size).fold(HEAD, u64::saturating_add),
        Value::Map(map) => map.map.iter().fold(HEAD, |sum, (key, value)| {
            let key = match key {
                Key::String(text) => text.len() as u64,
                _ => HEAD,
            };
            sum.saturating_add(key).saturating_add(size(value))
        }),
        _ => HEAD,
    }
}

/// The walk over a syntax tree, which checks it and puts the payments in.
#[derive(Default)]
struct Tree {
    nodes: usize,
    depth: usize,
    bound: Vec<String>,
    references: Vec<Reference>,
}

type Walked = Result<IdedExpr, FormulaError>;

fn call(id: u64, name: &str, args: Vec<IdedExpr>) -> IdedExpr {
    IdedExpr {
        id,
        expr: Expr::Call(CallExpr {
            func_name: name.to_owned(),
            target: None,
            args,
        }),
    }
}

fn refused<T>(what: impl Into<String>) -> Result<T, FormulaError> {
    Err(FormulaError::NotAllowed(what.into()))
}

impl Tree {
    fn walk(&mut self, node: IdedExpr) -> Walked {
        self.nodes += 1;
        if self.nodes > MAX_FORMULA_NODES {
            return Err(FormulaError::TooLarge);
        }
        let weight = match &node.expr {
            Expr::Comprehension(_) => LOOP_DEPTH,
            _ => 1,
        };
        self.depth += weight;
        if self.depth > MAX_FORMULA_DEPTH {
            return Err(FormulaError::TooDeep);
        }
        let walked = self.within(node);
        self.depth -= weight;
        walked
    }

    fn within(&mut self, node: IdedExpr) -> Walked {
        if let Some(reference) = self.named(&node.expr) {
            self.references.push(reference);
            return Ok(node);
        }
        let id = node.id;
        let expr = match node.expr {
            Expr::Unspecified | Expr::Struct(_) => return refused("messages"),
            Expr::Literal(LiteralValue::Double(_)) => return refused("fractions"),
            Expr::Literal(LiteralValue::Bytes(_)) => return refused("bytes"),
            Expr::Literal(LiteralValue::UInt(_)) => return refused("unsigned numbers"),
            Expr::Select(mut select) => {
                select.operand = Box::new(self.walk(*select.operand)?);
                Expr::Select(select)
            }
            Expr::Call(call) => return self.call(id, call),
            Expr::List(list) if !list.optional_indices.is_empty() => {
                return refused("optional values")
            }
            Expr::List(list) => {
                let list = ListExpr::new(self.all(list.elements)?);
                return Ok(call(
                    id,
                    PAID,
                    vec![IdedExpr {
                        id,
                        expr: Expr::List(list),
                    }],
                ));
            }
            Expr::Map(mut map) => {
                for entry in &mut map.entries {
                    let EntryExpr::MapEntry(entry) = &mut entry.expr else {
                        return refused("messages");
                    };
                    if entry.optional {
                        return refused("optional values");
                    }
                    entry.key = self.walk(std::mem::take(&mut entry.key))?;
                    entry.value = self.walk(std::mem::take(&mut entry.value))?;
                }
                return Ok(call(
                    id,
                    PAID,
                    vec![IdedExpr {
                        id,
                        expr: Expr::Map(map),
                    }],
                ));
            }
            Expr::Comprehension(comprehension) => self.comprehension(*comprehension)?,
            other => other,
        };
        Ok(IdedExpr { id, expr })
    }

    fn all(&mut self, nodes: Vec<IdedExpr>) -> Result<Vec<IdedExpr>, FormulaError> {
        nodes.into_iter().map(|node| self.walk(node)).collect()
    }

    fn call(&mut self, id: u64, mut called: CallExpr) -> Walked {
        if !ALLOWED.contains(&called.func_name.as_str()) {
            return refused(format!("function {}", called.func_name));
        }
        if let Some(target) = called.target.take() {
            called.target = Some(Box::new(self.walk(*target)?));
        }
        called.args = self.all(called.args)?;
        let makes = called.func_name == operators::ADD;
        let expr = Expr::Call(called);
        Ok(match makes {
            true => call(id, PAID, vec![IdedExpr { id, expr }]),
            false => IdedExpr { id, expr },
        })
    }

    fn comprehension(&mut self, of: ComprehensionExpr) -> Result<Expr, FormulaError> {
        if of.iter_var2.is_some() {
            return refused("loops with two names");
        }
        let range = self.walk(of.iter_range)?;
        let before = self.nodes;
        self.bound.push(of.iter_var.clone());
        self.bound.push(of.accu_var.clone());
        let loop_cond = self.walk(of.loop_cond)?;
        let loop_step = self.step(of.loop_step, &of.accu_var)?;
        let result = self.walk(of.result)?;
        self.bound.truncate(self.bound.len() - 2);
        let id = range.id;
        let nodes = Expr::Literal(LiteralValue::Int(((self.nodes - before) as i64).into()));
        let nodes = IdedExpr { id, expr: nodes };
        Ok(Expr::Comprehension(Box::new(ComprehensionExpr {
            iter_range: call(id, EACH, vec![range, nodes]),
            loop_cond,
            loop_step,
            result,
            ..of
        })))
    }

    /// One round of a loop. Where it adds an element to what it collects, the element is paid for and the form is kept: the
    /// library then adds to the list in place.
    fn step(&mut self, node: IdedExpr, collects: &str) -> Walked {
        let Expr::Call(mut called) = node.expr else {
            return self.walk(node);
        };
        let is_accumulator =
            |node: &IdedExpr| matches!(&node.expr, Expr::Ident(name) if name == collects);
        match (called.func_name.as_str(), called.args.as_slice()) {
            (
                operators::ADD,
                [first, IdedExpr {
                    expr: Expr::List(_),
                    ..
                }],
            ) if is_accumulator(first) => {
                for arg in &mut called.args {
                    if let Expr::List(list) = &mut arg.expr {
                        for element in &mut list.elements {
                            let walked = self.walk(std::mem::take(element))?;
                            *element = call(walked.id, PAID, vec![walked]);
                        }
                    }
                }
            }
            (operators::CONDITIONAL, [_, _, last]) if is_accumulator(last) => {
                let mut args = called.args.into_iter();
                let mut walked = Vec::with_capacity(3);
                if let (Some(condition), Some(then), Some(last)) =
                    (args.next(), args.next(), args.next())
                {
                    walked.push(self.walk(condition)?);
                    walked.push(self.step(then, collects)?);
                    walked.push(last);
                }
                called.args = walked;
            }
            _ => return self.call(node.id, called),
        }
        Ok(IdedExpr {
            id: node.id,
            expr: Expr::Call(called),
        })
    }

    /// The value outside of the formula that a chain of names stands for.
    fn named(&self, expr: &Expr) -> Option<Reference> {
        match expr {
            Expr::Ident(name) if name.starts_with('@') || self.bound.contains(name) => None,
            Expr::Ident(name) => Some(Reference {
                root: name.clone(),
                path: Vec::new(),
            }),
            Expr::Select(select) if !select.test => {
                let mut reference = self.named(&select.operand.expr)?;
                reference.path.push(select.field.clone());
                Some(reference)
            }
            _ => None,
        }
    }
}

fn value(data: &Data) -> Value {
    match data {
        Data::Null => Value::Null,
        Data::Bool(value) => Value::Bool(*value),
        Data::Int(value) => Value::Int(*value),
        Data::Text(text) => Value::String(Arc::new(text.clone())),
        Data::List(list) => Value::List(Arc::new(list.iter().map(value).collect())),
        Data::Map(fields) => {
            let fields = fields.iter();
            let fields =
                fields.map(|(name, each)| (Key::String(Arc::new(name.clone())), value(each)));
            Value::Map(cel::objects::Map {
                map: Arc::new(fields.collect::<HashMap<_, _>>()),
            })
        }
    }
}

fn data(value: &Value) -> Result<Data, FormulaError> {
    let no = |what: &str| FormulaError::Value(format!("it is {what}, which is not allowed"));
    Ok(match value {
        Value::Null => Data::Null,
        Value::Bool(value) => Data::Bool(*value),
        Value::Int(value) => Data::Int(*value),
        Value::UInt(value) => {
            Data::Int(i64::try_from(*value).map_err(|_| no("a number of more than 63 bits"))?)
        }
        Value::String(text) => Data::Text(text.as_str().to_owned()),
        Value::List(list) => Data::List(list.iter().map(data).collect::<Result<_, _>>()?),
        Value::Map(map) => {
            let mut fields = Fields::new();
            for (key, value) in map.map.iter() {
                let Key::String(name) = key else {
                    return Err(no("a map with keys that are no texts"));
                };
                fields.insert(name.as_str().to_owned(), data(value)?);
            }
            Data::Map(fields)
        }
        _ => return Err(no("of another type")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn known(json: &str) -> Fields {
        match serde_json::from_str(json) {
            Ok(Data::Map(fields)) => fields,
            other => panic!("{other:?}"),
        }
    }

    fn with(text: &str, json: &str) -> Result<String, FormulaError> {
        let value = Formula::compile(text)?.evaluate(&known(json))?;
        Ok(value.to_json().to_string())
    }

    fn of(text: &str) -> String {
        with(
            text,
            r#"{"event":{"n":7,"list":[3,1,2],"who":"bob","map":{"b":1,"a":2,"c":3}}}"#,
        )
        .unwrap()
    }

    #[test]
    fn formulas_compute() {
        for (text, value) in [
            ("event.n * 30 + 1", "211"),
            ("event.n > 5 && event.who.startsWith('b')", "true"),
            ("event.list.map(x, x * 2)", "[6,2,4]"),
            ("event.list.filter(x, x > 1)", "[3,2]"),
            (
                "event.list.filter(x, x > 1).map(x, {'v': x})",
                r#"[{"v":3},{"v":2}]"#,
            ),
            ("event.list.exists(x, x == 2)", "true"),
            ("event.list.exists_one(x, x > 1)", "false"),
            ("event.list.all(x, x > 0) ? 'all' : 'some'", r#""all""#),
            ("event.who + ' ' + string(event.n)", r#""bob 7""#),
            ("has(event.who) && !has(event.nobody)", "true"),
            ("size(event.list) + size(event.who)", "6"),
            ("-event.n / 2 % 2", "-1"),
            ("2 in event.list", "true"),
            ("event.list[0]", "3"),
        ] {
            assert_eq!(of(text), value, "{text}");
        }
    }

    #[test]
    fn a_map_is_gone_over_in_the_order_of_its_keys() {
        for _ in 0..20 {
            assert_eq!(of("event.map.map(key, key)"), r#"["a","b","c"]"#);
            assert_eq!(of("event.map.map(key, event.map[key])"), "[2,1,3]");
        }
    }

    #[test]
    fn what_could_differ_is_refused() {
        for (text, told) in [
            ("1.5 > 1.0", "fractions"),
            ("double('1')", "function double"),
            ("event.who.matches('b+')", "function matches"),
            ("b'x'", "bytes"),
            ("1u", "unsigned"),
            ("now()", "function now"),
            ("event.n >", "not a formula"),
        ] {
            let error = Formula::compile(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
        let long = "1+".repeat(MAX_FORMULA_BYTES);
        assert!(matches!(
            Formula::compile(&long),
            Err(FormulaError::TooLong { .. })
        ));
        let wide = "1+".repeat(MAX_FORMULA_NODES) + "1";
        let refused = Formula::compile(&wide);
        assert!(
            matches!(
                refused,
                Err(FormulaError::TooLarge | FormulaError::TooDeep | FormulaError::Syntax(_))
            ),
            "{refused:?}"
        );
    }

    #[test]
    fn values_that_are_not_there_are_errors_and_no_panics() {
        for text in [
            "event.nobody",
            "1 / 0",
            "event.list[9]",
            "9223372036854775807 + 1",
            "event.who + 1",
            "nobody.x",
        ] {
            let error = with(text, r#"{"event":{"list":[1],"who":"b"}}"#).unwrap_err();
            assert!(matches!(error, FormulaError::Value(_)), "{text}: {error}");
        }
    }

    #[test]
    fn what_grows_without_end_is_stopped() {
        let doubled = format!(
            "['{}']{}",
            "a".repeat(700),
            ".map(x, x + x + x + x)".repeat(6)
        );
        let squared = "event.l.map(a, event.l.map(b, event.l.map(c, event.l)))";
        let compared = "event.l.all(a, event.l.all(b, event.l == event.l))";
        let list = (0..2000)
            .map(|n| n.to_string())
            .collect::<Vec<_>>()
            .join(",");
        let json = format!(r#"{{"event":{{"l":[{list}]}}}}"#);
        for text in [doubled.as_str(), squared, compared] {
            assert_eq!(with(text, &json), Err(FormulaError::Cost), "{text}");
        }
        // What is usual stays far below.
        assert!(with("event.l.map(x, x * 2).filter(x, x > 5).size() > 3", &json).is_err());
        let few = r#"{"event":{"l":[1,2,3,4,5,6,7,8,9]}}"#;
        assert_eq!(
            with("event.l.map(x, event.l.map(y, x * y)).size()", few).unwrap(),
            "9"
        );
    }

    /// As deep as it may be, it fits on the stack of a thread of two megabytes, on which this test runs.
    #[test]
    fn the_deepest_formulas_fit_on_the_stack() {
        let sum = format!("1{}", " + 1".repeat(MAX_FORMULA_DEPTH - 1));
        assert_eq!(with(&sum, "{}").unwrap(), MAX_FORMULA_DEPTH.to_string());
        let deeper = format!("{sum} + 1");
        assert_eq!(
            Formula::compile(&deeper).unwrap_err(),
            FormulaError::TooDeep
        );
        let loops = MAX_FORMULA_DEPTH / LOOP_DEPTH - 1;
        let looped = format!("[1]{}", ".map(x, x)".repeat(loops));
        assert_eq!(with(&looped, "{}").unwrap(), "[1]");
        let nested = (0..loops).fold("1".to_owned(), |inner, _| format!("[1].map(x, {inner})"));
        assert!(with(&nested, "{}").is_ok());
    }

    #[test]
    fn references_are_those_outside_of_loops() {
        let formula =
            Formula::compile("event.list.map(x, x + price.cents).size() > total").unwrap();
        let names: Vec<_> = formula
            .references()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(names, ["event.list", "price.cents", "total"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_twice_is_the_same(text in "[a-z0-9.+*()\\[\\]{}:,'<>=!&| ]{0,60}") {
            if let Ok(formula) = Formula::compile(&text) {
                let known = known(r#"{"a":{"b":1},"event":{"n":1}}"#);
                let (one, two) = (formula.evaluate(&known).ok(), formula.evaluate(&known).ok());
                prop_assert_eq!(one, two);
            }
        }
    }
}
