//! `import python (f as a, g) file`

use bue_model::Language;

use super::foreign::MAX_ECHO;
use super::{Parsed, Parser, Reported, quoted};
use crate::code;
use crate::diagnostic::DiagnosticBuilder;
use crate::lexer::{Kind, Token};
use crate::tree::{Code, Import, Item, Name};

const SHAPE: &str = "`import python (function as name, other) file.py`";

impl<'a> Parser<'a, '_, '_> {
    /// At the word `import`.
    pub(super) fn import(&mut self, width: usize) -> Parsed<Import<'a>> {
        let meant = self.meant_import();
        self.next();
        let (language, opening) = self.import_language(meant)?;
        let items = self.items(opening, width)?;
        if let Some(language) = language {
            items.iter().for_each(|item| self.check_function(language, &item.function));
        }
        let code = self.import_code(width);
        Ok(Import { language, items, code })
    }

    /// For an import with brackets or braces, or the other way round: what was meant. At the word `import`.
    fn meant_import(&self) -> Option<String> {
        let line = self.line_text();
        if line.len() > MAX_ECHO || line.contains('(') {
            return None;
        }
        if let Some((names, path)) = line.strip_prefix("import ")?.split_once(" from ") {
            let names = names.trim().trim_matches(['{', '}', '[', ']']).trim();
            return Some(format!("`import python ({names}) {}`", path.trim()));
        }
        let round = line.replace(['{', '['], "(").replace(['}', ']'], ")");
        (round != line).then(|| format!("`{round}`"))
    }

    /// The language, and the bracket behind it.
    fn import_language(&mut self, meant: Option<String>) -> Parsed<(Option<Language>, Token)> {
        let first = self.peek().span;
        while !self.at_line_end() && !self.is_mark(b'(') && !matches!(self.text_of(self.peek()), "{" | "[") {
            self.next();
        }
        let span = first.to(self.last().span);
        if span.start >= span.end {
            let diagnostic = self.unexpected(code::BAD_IMPORT, "a language");
            return self.fail(diagnostic.hint(meant.unwrap_or_else(|| SHAPE.to_owned())));
        }
        let Some(opening) = self.eat(b'(') else {
            let diagnostic = self.unexpected(code::BAD_IMPORT, "`(` and the functions to import");
            return self.fail(diagnostic.hint(meant.unwrap_or_else(|| SHAPE.to_owned())));
        };
        self.layout.raw.push(span);
        Ok((self.language(span), opening))
    }

    /// Up to and with the closing parenthesis. Items that cannot be read are left out.
    fn items(&mut self, opening: Token, width: usize) -> Parsed<Vec<Item<'a>>> {
        let mut items = Vec::new();
        let first = self.at;
        loop {
            self.gap();
            if let Some(closing) = self.eat(b')') {
                if self.at == first + 1 {
                    let span = opening.span.to(closing.span);
                    self.report(DiagnosticBuilder::new(code::BAD_IMPORT, span, "this imports nothing").hint(SHAPE));
                }
                return Ok(items);
            }
            let start = self.at;
            match self.item(opening) {
                Ok(item) => items.push(item),
                Err(_) => self.skip_item(start, width)?,
            }
            self.gap();
            if self.eat(b',').is_none() && !self.is_mark(b')') {
                return self.fail(self.unclosed(code::BAD_IMPORT, opening, "`,` or `)`"));
            }
        }
    }

    /// "expected X", with the bracket that is still open.
    pub(super) fn unclosed(&self, code: &'static str, opening: Token, expected: &str) -> DiagnosticBuilder {
        if self.kind() == Kind::End {
            let message = format!("this `{}` is never closed", self.text_of(opening));
            return DiagnosticBuilder::new(code, opening.span, message);
        }
        self.unexpected(code, expected).label_at(opening.span, "for the bracket opened here")
    }

    fn item(&mut self, opening: Token) -> Parsed<Item<'a>> {
        let function = self.item_function()?;
        self.gap();
        let name = if self.is_word("as") { Some(self.alias()?) } else { None };
        let settings = self.item_settings(opening)?;
        let name = match name {
            Some(name) => name,
            None => self.name_of_function(&function)?,
        };
        Ok(Item { function, name, settings })
    }

    fn item_function(&mut self) -> Parsed<Name<'a>> {
        let mut name = self.expect_name(code::BAD_IMPORT, "a function or table", "as")?;
        while self.is_mark(b'.') && self.peek_at(1).kind == Kind::Word {
            self.next();
            self.next();
            name.span = name.span.to(self.last().span);
            name.text = name.span.of(self.text).into();
        }
        if self.text_of(self.peek()) == "." {
            return self.fail(self.unexpected(code::BAD_IMPORT, "`,`, `as` or a setting"));
        }
        Ok(name)
    }

    fn alias(&mut self) -> Parsed<Name<'a>> {
        self.next();
        self.gap();
        self.expect_name(code::BAD_IMPORT, "a name behind `as`", "as")
    }

    fn item_settings(&mut self, opening: Token) -> Parsed<Vec<crate::tree::Setting>> {
        let mut settings = Vec::new();
        self.gap();
        while self.at_setting() {
            settings.extend(self.item_setting().ok());
            self.gap();
        }
        match self.kind() {
            Kind::Mark(b',' | b')') | Kind::End => Ok(settings),
            Kind::Word if self.is_word("as") => {
                let diagnostic = self.unexpected(code::BAD_IMPORT, "`,` or `)`");
                self.fail(diagnostic.hint(match settings.is_empty() {
                    true => "one name stands behind `as`, and a comma between two functions",
                    false => "the name stands before the settings: `function as name !priority 9`",
                }))
            }
            _ => {
                self.fail(self.unclosed(code::BAD_IMPORT, opening, "`,` or `)`").hint("items are separated by commas"))
            }
        }
    }

    /// Without an alias the function's name is the step's.
    fn name_of_function(&mut self, function: &Name<'a>) -> Parsed<Name<'a>> {
        if function.text.contains('.') {
            let last = function.text.rsplit('.').next().unwrap_or_default();
            let message = format!("{} cannot be the name of a step", quoted(&function.text));
            return self.fail(
                DiagnosticBuilder::new(code::BAD_NAME, function.span, message)
                    .hint(format!("`{} as {last}`", function.text)),
            );
        }
        Ok(function.clone())
    }

    /// To the comma or parenthesis that ends an item which could not be read.
    fn skip_item(&mut self, start: usize, width: usize) -> Parsed<()> {
        let mut depth = 0_u32;
        loop {
            match self.kind() {
                Kind::Mark(b',' | b')') if depth == 0 => {
                    self.lose(start);
                    return Ok(());
                }
                Kind::Mark(b'(' | b'[') => depth += 1,
                Kind::Mark(b')' | b']') => depth = depth.saturating_sub(1),
                Kind::Line if self.looks_like_statement(width) => return Err(Reported),
                Kind::End => return Err(Reported),
                _ => {}
            }
            self.next();
        }
    }

    /// Behind the parenthesis, on the same line or indented on the next one.
    fn import_code(&mut self, width: usize) -> Option<Code<'a>> {
        if self.kind() == Kind::Line && self.width(self.peek().span) > width {
            self.line_at(self.loops + 1);
        }
        if self.at_line_end() {
            let place = self.last().span;
            self.report(
                DiagnosticBuilder::new(code::BAD_IMPORT, place, "the path or code of the import is missing")
                    .hint(SHAPE),
            );
            return None;
        }
        let start = self.at;
        let code = self.code().ok();
        if !self.at_line_end() {
            self.skip_statement(start, width);
        }
        code
    }
}
