//! No two files of a crate import each other, directly or around.
//!
//! Every file of a crate is read into tokens. A path that begins with `crate`, `self`, `super` or a child module is
//! followed to the file that defines what it names, through re-exports. That gives a graph of files, which must have no
//! cycle; one that is there is shown with the paths that make it.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    slice::from_ref,
};

/// A path in a crate, absolute from its root.
type Names = Vec<String>;

/// Re-exports that are followed for one path, so that two which name each other do not hang the test.
const MAX_REEXPORTS: usize = 16;

/// One file of a crate.
#[derive(Debug, Default)]
struct Module {
    file: PathBuf,
    /// What `use` brings in, by the name it has here.
    aliases: BTreeMap<String, Names>,
    /// All paths into the crate.
    uses: Vec<Names>,
}

/// A child module in a file of its own, and the file that an attribute names.
#[derive(Debug)]
struct Child {
    name: String,
    path: Option<String>,
}

/// Reads one file.
struct Reader<'a> {
    children: &'a BTreeSet<String>,
    module: Module,
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn ident(token: Option<&TokenTree>) -> Option<String> {
    match token {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    }
}

fn tokens(stream: TokenStream) -> Vec<TokenTree> {
    stream.into_iter().collect()
}

/// `#[path = "x.rs"]` gives `x.rs`.
fn path_attribute(attribute: TokenStream) -> Option<String> {
    let attribute = tokens(attribute);
    let named = ident(attribute.first())? == "path" && is_punct(attribute.get(1), '=');
    let literal = attribute.get(2).filter(|_| named)?.to_string();
    Some(literal.trim_matches('"').to_owned())
}

/// The modules that a file declares and does not hold.
fn children(stream: TokenStream) -> Vec<Child> {
    let tokens = tokens(stream);
    let mut found = Vec::new();
    let mut path = None;
    for (i, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) if i > 0 && is_punct(tokens.get(i - 1), '#') => {
                path = path_attribute(group.stream()).or(path);
            }
            TokenTree::Ident(word) if word == "mod" && is_punct(tokens.get(i + 2), ';') => {
                let name = ident(tokens.get(i + 1)).unwrap();
                let path = path.take();
                found.push(Child { name, path });
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => path = None,
            _ => {}
        }
    }
    found
}

impl Reader<'_> {
    /// Collects all paths. `at` is the module that the tokens are in, inline modules included.
    fn read(&mut self, stream: TokenStream, at: &[String], is_inline: bool) {
        let tokens = tokens(stream);
        let mut i = 0;
        while let Some(token) = tokens.get(i) {
            match token {
                TokenTree::Ident(word) if word == "use" => {
                    let end = (i..tokens.len()).find(|j| is_punct(tokens.get(*j), ';'));
                    let end = end.unwrap_or(tokens.len());
                    self.import(&tokens[i + 1..end], at, is_inline);
                    i = end;
                }
                TokenTree::Ident(word) if word == "mod" => {
                    if let (Some(name), Some(TokenTree::Group(body))) =
                        (ident(tokens.get(i + 1)), tokens.get(i + 2))
                    {
                        let inner = [at, &[name]].concat();
                        self.read(body.stream(), &inner, true);
                    }
                    i += 2;
                }
                TokenTree::Ident(_) => i = self.path(&tokens, i, at, is_inline),
                TokenTree::Group(group) => self.read(group.stream(), at, is_inline),
                _ => {}
            }
            i += 1;
        }
    }

    /// A path outside of `use`, from its first name; gives the place of its last.
    fn path(&mut self, tokens: &[TokenTree], from: usize, at: &[String], is_inline: bool) -> usize {
        let mut names = vec![ident(tokens.get(from)).unwrap()];
        let mut last = from;
        while is_punct(tokens.get(last + 1), ':') && is_punct(tokens.get(last + 2), ':') {
            let Some(name) = ident(tokens.get(last + 3)) else {
                break;
            };
            names.push(name);
            last += 3;
        }
        if names.len() > 1 {
            self.module
                .uses
                .extend(self.absolute(&names, at, is_inline));
        }
        last
    }

    fn import(&mut self, tree: &[TokenTree], at: &[String], is_inline: bool) {
        for (names, alias) in flat(tree, &[]) {
            let Some(absolute) = self.absolute(&names, at, is_inline) else {
                continue;
            };
            if !is_inline {
                self.module.aliases.insert(alias, absolute.clone());
            }
            self.module.uses.push(absolute);
        }
    }

    /// The path from the crate's root, or nothing if it leads out of the crate.
    fn absolute(&self, names: &[String], at: &[String], is_inline: bool) -> Option<Names> {
        let mut base = at.to_vec();
        let mut rest = names;
        match names.first()?.as_str() {
            "crate" => (base, rest) = (Vec::new(), &names[1..]),
            "self" => rest = &names[1..],
            "super" => {
                while rest.first().is_some_and(|name| name == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            name if !is_inline && self.children.contains(name) => {}
            _ => return None,
        }
        base.extend_from_slice(rest);
        Some(base)
    }
}

/// The paths of one `use`, each with the name under which it is known afterwards.
fn flat(tree: &[TokenTree], before: &[String]) -> Vec<(Names, String)> {
    let mut names = before.to_vec();
    let mut alias = None;
    let mut i = 0;
    while let Some(token) = tree.get(i) {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                let inner = tokens(group.stream());
                let branches = inner.split(|token| is_punct(Some(token), ','));
                return branches
                    .filter(|branch| !branch.is_empty())
                    .flat_map(|branch| flat(branch, &names))
                    .collect();
            }
            TokenTree::Ident(word) if word == "as" => {
                alias = ident(tree.get(i + 1));
                i += 1;
            }
            TokenTree::Ident(word) if word == "self" && !names.is_empty() => {}
            TokenTree::Ident(word) => names.push(word.to_string()),
            _ => {}
        }
        i += 1;
    }
    let alias = alias.or_else(|| names.last().cloned()).unwrap_or_default();
    vec![(names, alias)]
}

/// All files of a crate, by module.
fn read_crate(root: &Path) -> BTreeMap<Names, Module> {
    let mut modules = BTreeMap::new();
    let mut waiting = vec![(Names::new(), root.to_owned())];
    while let Some((at, file)) = waiting.pop() {
        let text = fs::read_to_string(&file).unwrap();
        let stream: TokenStream = text.parse().unwrap();
        let directory = file.parent().unwrap();
        let is_directory = at.is_empty() || file.ends_with("mod.rs");
        let declared = children(stream.clone());
        for child in &declared {
            let base = match is_directory {
                true => directory.to_owned(),
                false => directory.join(file.file_stem().unwrap()),
            };
            let named = child.path.as_ref().map(|path| directory.join(path));
            let usual = [
                base.join(&child.name).with_extension("rs"),
                base.join(&child.name).join("mod.rs"),
            ];
            let mut candidates = named.into_iter().chain(usual);
            let file = candidates.find(|file| file.exists()).unwrap();
            waiting.push(([&at[..], from_ref(&child.name)].concat(), file));
        }
        let mut reader = Reader {
            children: &declared.into_iter().map(|child| child.name).collect(),
            module: Module {
                file,
                ..Module::default()
            },
        };
        reader.read(stream, &at, false);
        modules.insert(at, reader.module);
    }
    modules
}

/// The module whose file defines what `names` names.
fn definer(modules: &BTreeMap<Names, Module>, names: &[String]) -> Names {
    let mut names = names.to_vec();
    for _ in 0..MAX_REEXPORTS {
        let mut length = 0;
        while length < names.len() && modules.contains_key(&names[..=length]) {
            length += 1;
        }
        let (module, rest) = names.split_at(length);
        let alias = rest
            .first()
            .and_then(|name| modules[module].aliases.get(name));
        match alias {
            Some(path) => names = [&path[..], &rest[1..]].concat(),
            None => return module.to_vec(),
        }
    }
    panic!("{} is re-exported in a circle", names.join("::"));
}

/// Which module imports which, with one path that does so.
type Graph = BTreeMap<Names, BTreeMap<Names, String>>;

fn graph(modules: &BTreeMap<Names, Module>) -> Graph {
    let mut graph = Graph::new();
    for (from, module) in modules {
        for path in &module.uses {
            let to = definer(modules, path);
            if to != *from {
                let edges = graph.entry(from.clone()).or_default();
                edges.entry(to).or_insert_with(|| path.join("::"));
            }
        }
    }
    graph
}

/// The shortest way from `from` back to itself, if there is one.
fn circle(graph: &Graph, from: &Names) -> Option<Vec<Names>> {
    let mut seen = BTreeSet::new();
    let mut ways = vec![vec![from.clone()]];
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in graph.get(way.last()?).into_iter().flat_map(BTreeMap::keys) {
                if next == from {
                    return Some(way);
                }
                if seen.insert(next.clone()) {
                    longer.push([&way[..], from_ref(next)].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

/// All circles of a crate, each shown once, with the paths that make it.
fn circles(root: &Path) -> Vec<String> {
    let modules = read_crate(root);
    let graph = graph(&modules);
    let mut shown = BTreeSet::new();
    let mut texts = Vec::new();
    for from in graph.keys() {
        let Some(way) = circle(&graph, from) else {
            continue;
        };
        if shown.insert(way.iter().cloned().collect::<BTreeSet<_>>()) {
            let next = way.iter().cycle().skip(1);
            let steps = way.iter().zip(next).map(|(a, b)| {
                let file = modules[a]
                    .file
                    .strip_prefix(root.parent().unwrap())
                    .unwrap();
                format!("{} uses {}", file.display(), graph[a][b])
            });
            texts.push(steps.collect::<Vec<_>>().join(", "));
        }
    }
    texts
}

fn check(directory: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(directory);
    let circles = circles(&root.join("src/lib.rs"));
    assert!(
        circles.is_empty(),
        "files of {directory} import each other:\n  {}",
        circles.join("\n  ")
    );
}

macro_rules! no_circles_in {
    ($($name:ident: $directory:literal,)*) => {$(
        #[test]
        fn $name() {
            check($directory);
        }
    )*};
}

no_circles_in! {
    no_two_files_of_abi_import_each_other: "abi",
    no_two_files_of_the_command_line_import_each_other: "node",
    no_two_files_of_api_import_each_other: "node/api",
    no_two_files_of_member_import_each_other: "node/member",
    no_two_files_of_protocol_import_each_other: "node/protocol",
    no_two_files_of_chain_import_each_other: "node/chain",
    no_two_files_of_store_import_each_other: "node/store",
    no_two_files_of_compute_import_each_other: "node/compute",
    no_two_files_of_network_import_each_other: "node/network",
    no_two_files_of_client_import_each_other: "node/client",
    no_two_files_of_process_import_each_other: "node/process",
    no_two_files_of_the_tests_import_each_other: "tests",
}

#[test]
fn a_circle_is_found_directly_around_and_through_a_reexport() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    let root = directory.path().join("lib.rs");
    write("lib.rs", "mod a; mod b; mod c; pub use a::A;");
    write("a.rs", "pub struct A; fn f() { crate::b::g() }");
    write("b.rs", "use super::c::{self, C}; pub fn g() {}");
    write("c.rs", "pub struct C;");
    assert_eq!(circles(&root), Vec::<String>::new());
    // Around, and through what the root re-exports; in a macro, too.
    write(
        "c.rs",
        "pub struct C; fn h() { println!(\"{}\", crate::A); }",
    );
    let found = circles(&root);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("a.rs uses b::g, b.rs uses c, c.rs uses A"),
        "{found:?}"
    );
    // Directly, and from an inline module.
    write("c.rs", "pub struct C; mod tests { use super::super::b; }");
    assert_eq!(circles(&root).len(), 1);
    write("b.rs", "use std::fmt; pub fn g() { fmt::c::x() }");
    assert_eq!(circles(&root), Vec::<String>::new());
}
