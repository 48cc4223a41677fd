//! The results of jobs, and what follows from them: arguments and results of the run.

use bue_model::Input;

use super::{Key, Model};

/// Elements in one piece of a list.
pub(in crate::random) const PIECE: u32 = 3;

/// Stands for an argument that the model does not know.
pub(in crate::random) const ANY: &str = "*";

/// The result of a job.
#[derive(Clone, Debug)]
pub(in crate::random) struct ModelValue {
    pub(in crate::random) text: String,
    /// The number of elements, if a loop runs over it.
    pub(in crate::random) elements: Option<u32>,
}

impl ModelValue {
    /// Returns it as an argument or a result.
    fn as_text(&self) -> String {
        self.elements.map_or_else(|| self.text.clone(), |elements| format!("list of {elements}"))
    }

    /// Returns an element behind the first `before` ones as an argument: its piece, and the position in it.
    fn element(&self, before: u32, round: u32) -> String {
        let at = round - before;
        format!("{}+{}[{}]", self.text, before + at / PIECE * PIECE, at % PIECE)
    }
}

impl Model {
    /// Returns the arguments that a job must receive.
    pub(in crate::random) fn arguments(&self, key: &Key) -> Vec<String> {
        self.jobs[&key.0].inputs.iter().map(|input| self.argument(&key.1, input)).collect()
    }

    fn argument(&self, path: &[u32], input: &Input) -> String {
        match *input {
            Input::Node(node) => self.completed[&self.seen_from(path, node.0)].as_text(),
            Input::Loop(each) => {
                let (over, depth) = (self.loops[&each.0].over.0, self.around[&each.0].len());
                self.element(&self.seen_from(path, over), path[depth])
            }
            Input::Literal(ref value) => String::from_utf8(value.to_vec()).expect("text"),
            Input::Run(_) => ANY.to_owned(),
            Input::Param(_) | Input::Failure(_) | Input::LoopPart(..) => panic!("no value of the model"),
            Input::Gather(each) => {
                let each = &self.loops[&each.0];
                let (source, gather) = (self.seen_from(path, each.over.0), each.gather.expect("it gathers").0);
                self.values(&source, |round| self.value(&(gather, [&source.1[..], &[round]].concat())))
            }
        }
    }

    /// Returns an element of the list of a source as an argument.
    fn element(&self, source: &Key, round: u32) -> String {
        let pieces = self.streamed.get(source).map_or(&[][..], Vec::as_slice);
        let piece = pieces.iter().find(|(first, count, _)| (*first..first + count).contains(&round));
        match piece {
            Some((first, _, name)) => format!("{name}+{first}[{}]", round - first),
            None => self.completed[source].element(self.elements_streamed(source), round),
        }
    }

    fn value(&self, key: &Key) -> String {
        self.completed.get(key).map_or_else(|| "-".to_owned(), ModelValue::as_text)
    }

    /// Returns all rounds in brackets.
    fn values(&self, source: &Key, value: impl Fn(u32) -> String) -> String {
        let rounds: Vec<String> = (0..self.rounds(source)).map(value).collect();
        format!("[{}]", rounds.join(" "))
    }

    /// Returns the results of the run as one text.
    pub(in crate::random) fn results(&self) -> String {
        let results = self.plan.calls.iter().filter(|call| !call.nested).map(|call| self.result(call.last.0, &[]));
        results.collect::<Vec<_>>().join(" ")
    }

    /// Returns a node's value, in all rounds within these.
    fn result(&self, node: u32, path: &[u32]) -> String {
        let Some(each) = self.around[&node].get(path.len()) else { return self.value(&(node, path.to_vec())) };
        let source = (self.loops[each].over.0, path.to_vec());
        if !self.completed.contains_key(&source) && self.elements_streamed(&source) == 0 {
            return "-".to_owned();
        }
        self.values(&source, |round| self.result(node, &[path, &[round]].concat()))
    }
}
