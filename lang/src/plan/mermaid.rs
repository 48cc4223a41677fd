//! A plan as a Mermaid flowchart: jobs are boxes, loops are frames.

use std::fmt::Write as _;

use bue_model::{Finally, ForEach, Input, JobNode, Node, Plan};

/// Text for any Mermaid renderer.
#[must_use]
pub fn plan_mermaid(plan: &Plan) -> String {
    let mut chart = Chart { plan, boxes: "flowchart TD\n".into(), arrows: String::new() };
    chart.nodes(&plan.nodes, 1);
    chart.boxes + &chart.arrows
}

struct Chart<'p> {
    plan: &'p Plan,
    boxes: String,
    /// Written after all boxes: an arrow to a box that is not defined yet would put that box outside its frame.
    arrows: String,
}

impl Chart<'_> {
    fn nodes(&mut self, nodes: &[Node], depth: usize) {
        for node in nodes {
            match node {
                Node::Job(job) => self.job(job, depth),
                Node::ForEach(for_each) => self.for_each(for_each, depth),
                Node::Finally(finally) => self.finally(finally, depth),
            }
        }
    }

    fn job(&mut self, job: &JobNode, depth: usize) {
        let step = self.plan.steps.get(job.step.get()).map_or("?", |step| step.name.as_str());
        self.line(depth, &format!("n{}[\"{}\"]", job.id, escaped(step)));
        for input in &job.inputs {
            let from = match input {
                // it comes from no other node
                Input::Literal(_) | Input::Param(_) => continue,
                Input::Node(node) => format!("n{node} -->"),
                Input::Loop(node) => format!("n{node} -->|element|"),
                Input::LoopPart(node, part) => format!("n{node} -->|part {part}|"),
                Input::Gather(node) => format!("n{node} -->|all results|"),
                Input::Failure(node) => format!("n{node} -.->|on failure|"),
                Input::Run(node) => format!("n{node} -->|run|"),
            };
            self.arrow(&format!("{from} n{}", job.id));
        }
    }

    fn for_each(&mut self, node: &ForEach, depth: usize) {
        self.line(depth, &format!("n{}{{{{\"for each {}\"}}}}", node.id, escaped(&node.variable)));
        self.arrow(&format!("n{} --> n{}", node.over, node.id));
        self.line(depth, &format!("subgraph body{} [\"for each {}\"]", node.id, escaped(&node.variable)));
        self.nodes(&node.body, depth + 1);
        self.line(depth, "end");
    }

    fn finally(&mut self, node: &Finally, depth: usize) {
        self.line(depth, &format!("n{}{{{{\"when the run ends\"}}}}", node.id));
        self.line(depth, &format!("subgraph body{} [\"finally\"]", node.id));
        self.nodes(&node.body, depth + 1);
        self.line(depth, "end");
    }

    fn line(&mut self, depth: usize, content: &str) {
        let written = writeln!(self.boxes, "{:indent$}{content}", "", indent = depth * 2);
        debug_assert!(written.is_ok(), "a String takes everything");
    }

    fn arrow(&mut self, content: &str) {
        self.arrows.push_str("  ");
        self.arrows.push_str(content);
        self.arrows.push('\n');
    }
}

/// Quotes, brackets and other signs as character references, as Mermaid requires.
fn escaped(text: &str) -> String {
    text.chars()
        .map(|char| {
            if char.is_alphanumeric() || " _-".contains(char) {
                char.to_string()
            } else {
                format!("#{};", u32::from(char))
            }
        })
        .collect()
}
