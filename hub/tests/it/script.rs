//! Plans for tests, written like scripts.

use bue_model::plan::{PLAN_VERSION, Settings, Source};
use bue_model::wire::Submission;
use bue_model::{
    BlobHash, BlobRef, Call, CallIndex, Finally, ForEach, Input, JobNode, Language, Node, NodeId, Plan, RunId, Step,
    StepIndex,
};
use uuid::Uuid;

/// A plan while it is built.
pub(crate) struct Script {
    steps: Vec<Step>,
    calls: Vec<Call>,
    /// The blocks around the next node, outermost first.
    blocks: Vec<Vec<Node>>,
    next: u32,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self { steps: Vec::new(), calls: Vec::new(), blocks: vec![Vec::new()], next: 0 }
    }

    /// Adds a call of a pipe of these steps, and returns its last job.
    pub(crate) fn call(&mut self, steps: &[&str], inputs: &[Input]) -> NodeId {
        let call = CallIndex(self.calls.len() as u32);
        let first = NodeId(self.next);
        let mut inputs = inputs.to_vec();
        for step in steps {
            let step = self.step(step);
            let id = self.id();
            let job = JobNode { id, step, call, inputs: std::mem::replace(&mut inputs, vec![Input::Node(id)]) };
            self.put(Node::Job(job));
        }
        let last = NodeId(self.next - 1);
        self.calls.push(Call { line: call.0 + 1, name: None, first, last, nested: false });
        last
    }

    /// Adds a job that makes a list of others: an operation on lists.
    pub(crate) fn list_job(&mut self, name: &str, operation: &str, lists: &[NodeId]) -> NodeId {
        let inputs: Vec<Input> = lists.iter().copied().map(Input::Node).collect();
        let job = self.call(&[name], &inputs);
        self.hide_last_call();
        let step = self.step(name);
        let step = &mut self.steps[step.get()];
        (step.language, step.function) = (Language::Builtin, operation.to_owned());
        job
    }

    /// Adds a call of steps that run as one job.
    pub(crate) fn fused_call(&mut self, stages: &[&str], inputs: &[Input]) -> NodeId {
        let indices = stages.iter().map(|stage| self.step(stage)).collect();
        let name = stages.join("|");
        let job = self.call(&[&name], inputs);
        let step = self.step(&name);
        self.steps[step.get()].source = Source::Fused(indices);
        job
    }

    /// Adds the handler of a job: a call of this step with its failure.
    pub(crate) fn on_failure(&mut self, failed: NodeId, step: &str) -> NodeId {
        let handler = self.call(&[step], &[Input::Failure(failed)]);
        self.hide_last_call();
        handler
    }

    /// Adds the handler of a job, whose step is named after its node.
    pub(crate) fn on_failure_of(&mut self, failed: NodeId) -> NodeId {
        let step = format!("n{}", self.next);
        self.on_failure(failed, &step)
    }

    /// `finally:`
    pub(crate) fn finally<T>(&mut self, body: impl FnOnce(&mut Self, Input) -> T) -> NodeId {
        let (id, first) = (self.id(), self.calls.len());
        self.blocks.push(Vec::new());
        body(self, Input::Run(id));
        let body = self.blocks.pop().expect("the body");
        self.calls[first..].iter_mut().for_each(|call| call.nested = true);
        self.put(Node::Finally(Finally { id, line: id.0, body }));
        id
    }

    fn hide_last_call(&mut self) {
        self.calls.last_mut().expect("a call").nested = true;
    }

    /// Adds a call whose steps are named after their nodes: `n7`.
    pub(crate) fn call_of(&mut self, len: usize, inputs: &[Input]) -> NodeId {
        let steps: Vec<String> = (self.next..).take(len).map(|node| format!("n{node}")).collect();
        self.call(&steps.iter().map(String::as_str).collect::<Vec<_>>(), inputs)
    }

    /// `for x in over:`
    pub(crate) fn each<T>(&mut self, over: NodeId, body: impl FnOnce(&mut Self, Input) -> T) -> NodeId {
        self.for_each(over, |script, x| {
            body(script, x);
            None
        })
    }

    /// `for x in over !window 3:`
    pub(crate) fn each_in_window<T>(
        &mut self,
        over: NodeId,
        window: u32,
        body: impl FnOnce(&mut Self, Input) -> T,
    ) -> NodeId {
        let id = self.each(over, body);
        let node = self.blocks.last_mut().and_then(|block| block.last_mut()).expect("the loop");
        let Node::ForEach(fan_out) = node else { panic!("{node:?}") };
        fan_out.window = Some(window);
        id
    }

    /// `[steps(x) for x in over]`
    pub(crate) fn gather(&mut self, over: NodeId, steps: &[&str]) -> Input {
        self.gather_of(over, |script, x| script.call(steps, &[x]))
    }

    /// Adds a loop that gathers the results of a node of its body.
    pub(crate) fn gather_of(&mut self, over: NodeId, body: impl FnOnce(&mut Self, Input) -> NodeId) -> Input {
        Input::Gather(self.for_each(over, |script, x| Some(body(script, x))))
    }

    fn for_each(&mut self, over: NodeId, body: impl FnOnce(&mut Self, Input) -> Option<NodeId>) -> NodeId {
        let id = self.id();
        self.blocks.push(Vec::new());
        let gather = body(self, Input::Loop(id));
        let body = self.blocks.pop().expect("the body");
        self.put(Node::ForEach(ForEach { id, variable: "x".into(), over, line: id.0, body, gather, window: None }));
        id
    }

    /// Changes a step's settings.
    pub(crate) fn set(&mut self, step: &str, change: impl FnOnce(&mut Settings)) {
        let step = self.step(step);
        change(&mut self.steps[step.get()].settings);
    }

    fn step(&mut self, name: &str) -> StepIndex {
        let at = self.steps.iter().position(|step| step.name == name).unwrap_or_else(|| {
            self.steps.push(Step {
                name: name.to_owned(),
                language: Language::Python,
                function: name.to_owned(),
                source: Source::File("steps.py".into()),
                line: 1,
                settings: Settings::default(),
            });
            self.steps.len() - 1
        });
        StepIndex(at as u32)
    }

    fn id(&mut self) -> NodeId {
        self.next += 1;
        NodeId(self.next - 1)
    }

    fn put(&mut self, node: Node) {
        self.blocks.last_mut().expect("a block").push(node);
    }

    pub(crate) fn plan(mut self) -> Plan {
        let nodes = self.blocks.pop().expect("the top level");
        Plan { version: PLAN_VERSION, steps: self.steps, nodes, calls: self.calls, params: Vec::new() }
    }
}

/// Returns a submission of a plan as the `number`th run.
pub(crate) fn submission(number: u128, plan: Plan) -> Submission {
    let code = plan.steps.iter().map(|_| BlobRef { hash: BlobHash([7; 32]), len: 1 }).collect();
    Submission { run: RunId(Uuid::from_u128(number)), name: "test.bue".into(), plan, code }
}
