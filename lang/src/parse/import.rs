//! `import python (f as a, g) file`

use bue_model::Language;

use super::other_languages::MAX_QUOTED;
use super::parser::{Parsed, Parser, Reported};
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::syntax::token::{Token, TokenKind};
use crate::syntax::tree::{Code, Import, Item, Name, Setting};
use crate::text::backquoted;

const SHAPE: &str = "`import python (function as name, other) file.py`";

impl<'a> Parser<'a, '_, '_> {
    /// At the word `import`.
    pub(super) fn import(&mut self, width: usize) -> Parsed<Import<'a>> {
        let intended = self.intended_import();
        self.next();
        let (language, opening) = self.import_language(intended)?;
        let items = self.items(language, opening, width)?;
        if let Some(language) = language {
            items.iter().for_each(|item| self.check_function(language, &item.function));
        }
        let code = self.import_code(width);
        Ok(Import { language, items, code })
    }

    /// For an import with brackets, braces or `from`: the same import as scripts write it. At the word `import`.
    fn intended_import(&self) -> Option<String> {
        let line = self.line_text();
        if line.len() > MAX_QUOTED || line.contains('(') {
            return None;
        }
        if let Some((names, path)) = line.strip_prefix("import ")?.split_once(" from ") {
            let names = names.trim().trim_matches(['{', '}', '[', ']']).trim();
            return Some(format!("`import python ({names}) {}`", path.trim()));
        }
        let round = line.replace(['{', '['], "(").replace(['}', ']'], ")");
        (round != line).then(|| format!("`{round}`"))
    }

    /// The language, and the opening parenthesis after it.
    fn import_language(&mut self, intended: Option<String>) -> Parsed<(Option<Language>, Token)> {
        let first = self.peek().span;
        while !self.at_line_end() && !self.at(TokenKind::OpenParen) && !matches!(self.text_of(self.peek()), "{" | "[") {
            self.next();
        }
        let span = first.to(self.previous().span);
        if span.start >= span.end {
            let diagnostic = self.unexpected(codes::INVALID_IMPORT, "a language");
            return self.fail(diagnostic.hint(intended.unwrap_or_else(|| SHAPE.to_owned())));
        }
        let Some(opening) = self.eat(TokenKind::OpenParen) else {
            let diagnostic = self.unexpected(codes::INVALID_IMPORT, "`(` and the functions to import");
            return self.fail(diagnostic.hint(intended.unwrap_or_else(|| SHAPE.to_owned())));
        };
        self.layout.raw.push(span);
        Ok((self.language(span), opening))
    }

    /// Up to and including the closing parenthesis. Items that cannot be parsed are left out.
    fn items(&mut self, language: Option<Language>, opening: Token, width: usize) -> Parsed<Vec<Item<'a>>> {
        let mut items = Vec::new();
        let first = self.position;
        loop {
            self.skip_line_breaks();
            if let Some(closing) = self.eat(TokenKind::CloseParen) {
                if self.position == first + 1 {
                    let span = opening.span.to(closing.span);
                    self.report(
                        DiagnosticBuilder::new(codes::INVALID_IMPORT, span, "this imports nothing").hint(SHAPE),
                    );
                }
                return Ok(items);
            }
            let start = self.position;
            match self.item(language, opening) {
                Ok(item) => items.push(item),
                Err(Reported) => self.skip_item(start, width)?,
            }
            self.skip_line_breaks();
            if self.eat(TokenKind::Comma).is_none() && !self.at(TokenKind::CloseParen) {
                return self.fail(self.unclosed(codes::INVALID_IMPORT, opening, "`,` or `)`"));
            }
        }
    }

    fn item(&mut self, language: Option<Language>, opening: Token) -> Parsed<Item<'a>> {
        let own_name = self.item_function()?;
        let function = match language.filter(|language| language.has_table() && self.at(TokenKind::OpenParen)) {
            Some(language) => self.item_columns(language, &own_name)?,
            None => own_name.clone(),
        };
        self.skip_line_breaks();
        let name = if self.at_word("as") { Some(self.alias()?) } else { None };
        let settings = self.item_settings(opening)?;
        let name = match name {
            Some(name) => name,
            None => self.name_of_function(&own_name)?,
        };
        Ok(Item { function, name, settings })
    }

    fn item_function(&mut self) -> Parsed<Name<'a>> {
        let mut name = self.expect_name(codes::INVALID_IMPORT, "a function or table", "as")?;
        while self.at(TokenKind::Dot) && self.kind_nth(1) == TokenKind::Word {
            self.next();
            self.next();
            name.span = name.span.to(self.previous().span);
            name.text = name.span.of(self.text).into();
        }
        if self.text_of(self.peek()) == "." {
            return self.fail(self.unexpected(codes::INVALID_IMPORT, "`,`, `as` or a setting"));
        }
        Ok(name)
    }

    /// The columns of a table, up to the closing parenthesis.
    fn item_columns(&mut self, language: Language, table: &Name<'a>) -> Parsed<Name<'a>> {
        let first = self.peek().span;
        let mut depth = 0_u32;
        loop {
            match self.kind() {
                TokenKind::OpenParen => depth += 1,
                TokenKind::CloseParen => depth -= 1,
                TokenKind::LineStart if !self.looks_like_statement(self.statement_indent) => {
                    self.skip_line_breaks();
                    continue;
                }
                TokenKind::LineStart | TokenKind::End => break,
                _ => {}
            }
            self.next();
            if depth == 0 {
                break;
            }
        }
        self.declared_table(language, table, first.to(self.previous().span)).ok_or(Reported)
    }

    fn alias(&mut self) -> Parsed<Name<'a>> {
        self.next();
        self.skip_line_breaks();
        self.expect_name(codes::INVALID_IMPORT, "a name after `as`", "as")
    }

    fn item_settings(&mut self, opening: Token) -> Parsed<Vec<Setting>> {
        let mut settings = Vec::new();
        self.skip_line_breaks();
        while self.at_setting() {
            settings.extend(self.item_setting().ok());
            self.skip_line_breaks();
        }
        match self.kind() {
            TokenKind::Comma | TokenKind::CloseParen | TokenKind::End => Ok(settings),
            TokenKind::Word if self.at_word("as") => {
                let diagnostic = self.unexpected(codes::INVALID_IMPORT, "`,` or `)`");
                self.fail(diagnostic.hint(match settings.is_empty() {
                    true => "`as` takes one name; separate functions with commas",
                    false => "write the name before the settings: `function as name !priority 9`",
                }))
            }
            _ => self.fail(
                self.unclosed(codes::INVALID_IMPORT, opening, "`,` or `)`").hint("separate functions with commas"),
            ),
        }
    }

    /// Without an alias, the step has the name of the function.
    fn name_of_function(&mut self, function: &Name<'a>) -> Parsed<Name<'a>> {
        if function.text.contains('.') {
            let last = function.text.rsplit('.').next().unwrap_or_default();
            let message = format!("{} cannot be the name of a step", backquoted(&function.text));
            return self.fail(
                DiagnosticBuilder::new(codes::INVALID_NAME, function.span, message)
                    .hint(format!("`{} as {last}`", function.text)),
            );
        }
        Ok(function.clone())
    }

    /// Skips to the comma or parenthesis that ends an item which could not be parsed.
    fn skip_item(&mut self, start: usize, width: usize) -> Parsed<()> {
        let mut depth = 0_u32;
        loop {
            match self.kind() {
                TokenKind::Comma | TokenKind::CloseParen if depth == 0 => {
                    self.mark_unparsed(start);
                    return Ok(());
                }
                TokenKind::OpenParen | TokenKind::OpenBracket => depth += 1,
                TokenKind::CloseParen | TokenKind::CloseBracket => depth = depth.saturating_sub(1),
                TokenKind::LineStart if self.looks_like_statement(width) => return Err(Reported),
                TokenKind::End => return Err(Reported),
                _ => {}
            }
            self.next();
        }
    }

    /// After the parenthesis, on the same line or indented on the next one.
    fn import_code(&mut self, width: usize) -> Option<Code<'a>> {
        if self.kind() == TokenKind::LineStart && self.indent_width(self.peek().span) > width {
            self.start_line(self.loop_depth + 1);
        }
        if self.at_line_end() {
            let place = self.previous().span;
            self.report(
                DiagnosticBuilder::new(codes::INVALID_IMPORT, place, "the import has no path or code").hint(SHAPE),
            );
            return None;
        }
        let start = self.position;
        let code = self.code().ok();
        if !self.at_line_end() {
            self.skip_statement(start, width);
        }
        code
    }
}
