//! Which definition or result a name means at a place: the innermost block that defines it counts.

use std::collections::HashMap;

use bue_model::Input;

/// What a script defines: an index into the list of steps or of pipes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Definition {
    Step(usize),
    Pipe(usize),
}

/// The result that a name means.
#[derive(Clone, Debug)]
pub(crate) struct BoundResult {
    pub(crate) binding: Binding,
    /// Whether the name is in quotes where it is bound. Then a text in quotes means the result, not a value.
    pub(crate) quoted: bool,
}

/// What the name of a result is bound to.
#[derive(Clone, Debug)]
pub(crate) enum Binding {
    /// A value.
    Input(Input),
    /// Something for which a diagnostic was reported.
    Unknown,
}

/// The names of one kind that are visible. Every name has a stack of meanings, so that leaving a block takes time proportional
/// to what it defined, not to the file.
pub(crate) struct SymbolTable<'t, T> {
    meanings: HashMap<&'t str, Vec<(T, usize)>>,
    /// Names of each open block, the file's first.
    blocks: Vec<Vec<&'t str>>,
}

impl<'t, T: Clone> SymbolTable<'t, T> {
    pub(crate) fn new() -> Self {
        Self { meanings: HashMap::new(), blocks: Vec::new() }
    }

    pub(crate) fn enter(&mut self) {
        self.blocks.push(Vec::new());
    }

    /// Removes the names of the innermost block, and returns what they meant.
    pub(crate) fn leave(&mut self) -> Vec<(&'t str, T)> {
        let names = self.blocks.pop().unwrap_or_default();
        let remove = |name| {
            let (meaning, _) = self.meanings.get_mut(name)?.pop()?;
            Some((name, meaning))
        };
        names.into_iter().filter_map(remove).collect()
    }

    pub(crate) fn define(&mut self, name: &'t str, meaning: T) {
        self.meanings.entry(name).or_default().push((meaning, self.blocks.len()));
        if let Some(block) = self.blocks.last_mut() {
            block.push(name);
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<T> {
        self.meanings.get(name)?.last().map(|(meaning, _)| meaning.clone())
    }

    /// The meaning, if the innermost block defines it.
    pub(crate) fn get_in_block(&self, name: &str) -> Option<T> {
        let (meaning, depth) = self.meanings.get(name)?.last()?;
        (*depth == self.blocks.len()).then(|| meaning.clone())
    }

    /// All visible names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'t str> {
        self.meanings.iter().filter(|(_, stack)| !stack.is_empty()).map(|(name, _)| *name)
    }
}
