//! Which definition or result a name means at a place: blocks inside blocks, inner ones first.

use std::collections::HashMap;

use bue_model::Input;

/// What a script defines: a position in the list of steps or of pipes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Definition {
    Step(usize),
    Pipe(usize),
}

/// What a result's name stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Binding {
    /// This.
    Input(Input),
    /// Something that has been reported already.
    Unknown,
}

/// The names of one kind that are known here. Every name has a stack of meanings, so that leaving a block costs as much
/// as what it defined and not as much as the file.
pub(crate) struct Names<'t, T> {
    meanings: HashMap<&'t str, Vec<(T, usize)>>,
    /// Names of each open block, the file's first.
    blocks: Vec<Vec<&'t str>>,
}

impl<'t, T: Copy> Names<'t, T> {
    pub(crate) fn new() -> Self {
        Self { meanings: HashMap::new(), blocks: Vec::new() }
    }

    pub(crate) fn enter(&mut self) {
        self.blocks.push(Vec::new());
    }

    /// Forgets the names of the innermost block, and gives back what they meant.
    pub(crate) fn leave(&mut self) -> Vec<(&'t str, T)> {
        let names = self.blocks.pop().unwrap_or_default();
        let forget = |name| {
            let (meaning, _) = self.meanings.get_mut(name)?.pop()?;
            Some((name, meaning))
        };
        names.into_iter().filter_map(forget).collect()
    }

    pub(crate) fn define(&mut self, name: &'t str, meaning: T) {
        self.meanings.entry(name).or_default().push((meaning, self.blocks.len()));
        if let Some(block) = self.blocks.last_mut() {
            block.push(name);
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<T> {
        self.meanings.get(name)?.last().map(|(meaning, _)| *meaning)
    }

    /// The meaning, if the innermost block gave it.
    pub(crate) fn get_here(&self, name: &str) -> Option<T> {
        let (meaning, depth) = self.meanings.get(name)?.last()?;
        (*depth == self.blocks.len()).then_some(*meaning)
    }

    /// All names that mean something here.
    pub(crate) fn known(&self) -> impl Iterator<Item = &'t str> {
        self.meanings.iter().filter(|(_, stack)| !stack.is_empty()).map(|(name, _)| *name)
    }
}
