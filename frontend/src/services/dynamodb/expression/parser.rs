//! A recursive-descent parser for the three expression languages.
//!
//! ```text
//! condition  := conjunct (OR conjunct)*
//! conjunct   := negation (AND negation)*
//! negation   := NOT negation | comparison
//! comparison := operand [comparator operand | BETWEEN operand AND operand | IN '(' operand (',' operand)* ')']
//! operand    := function | :value | path | '(' condition or operand ')'
//! function   := word '(' operand (',' operand)* ')'
//! path       := name ('.' name | '[' digits ']')*
//!
//! update     := (SET set, … | REMOVE path, … | ADD path :value, … | DELETE path :value, …)+
//! set        := path '=' operand [('+' | '-') operand]
//!
//! projection := path (',' path)*
//! ```
//!
//! A parenthesis may hold a condition or an operand, and only what follows tells which: so both are read by the same
//! functions as a [`Node`], and the place that uses a node demands the kind that it needs.
//!
//! # Limits
//!
//! An expression has at most 4096 bytes and 300 operators; parentheses and functions nest at most [`DEPTH_MAX`] deep. What
//! nests deeper has redundant parentheses or misused functions, since 300 operators need no more, and is refused as that.

use super::lexer::{Kind, Lexer};
use super::syntax::{
    ActionSyntax, AssignedSyntax, Comparator, ConditionSyntax, Element, FunctionSyntax,
    OperandSyntax, PathSyntax, Section, UpdateSyntax,
};

const EXPRESSION_BYTES_MAX: usize = 4096;
const OPERATORS_MAX: usize = 300;
const DEPTH_MAX: usize = 310;
const PATH_LEVELS_MAX: usize = 32;

/// What is wrong with an expression, in AWS's words without the `Invalid …Expression: ` before them.
pub(crate) type Message = String;

type Parsed<T> = Result<T, Message>;

pub(crate) fn parse_condition(source: &str) -> Parsed<ConditionSyntax<'_>> {
    let mut parser = Parser::new(source, &["AND", "OR", "NOT", "BETWEEN", "IN"])?;
    let node = parser.disjunction()?;
    parser.end()?;
    let condition = parser.condition(node)?;
    parser.finish(condition)
}

pub(crate) fn parse_update(source: &str) -> Parsed<UpdateSyntax<'_>> {
    let mut parser = Parser::new(source, &["SET", "REMOVE", "ADD", "DELETE"])?;
    let update = parser.update()?;
    parser.finish(update)
}

pub(crate) fn parse_projection(source: &str) -> Parsed<Vec<PathSyntax<'_>>> {
    let mut parser = Parser::new(source, &[])?;
    let paths = parser.list(Parser::path)?;
    parser.end()?;
    parser.finish(paths)
}

/// What a parenthesis may hold.
enum Node<'a> {
    Operand(OperandSyntax<'a>),
    Condition(ConditionSyntax<'a>),
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// Words that are not attributes in this language.
    keywords: &'static [&'static str],
    depth: usize,
    operators: usize,
    redundant_parentheses: bool,
    /// Where the parentheses closed last begin and end: those directly within another pair are redundant.
    last_group: Option<(usize, usize)>,
}

impl<'a> Parser<'a> {
    fn new<const N: usize>(
        source: &'a str,
        keywords: &'static [&'static str; N],
    ) -> Parsed<Parser<'a>> {
        if source.is_empty() {
            return Err("The expression can not be empty;".into());
        }
        if source.len() > EXPRESSION_BYTES_MAX {
            return Err(format!(
                "Expression size has exceeded the maximum allowed size; expression size: {}",
                source.len()
            ));
        }
        let lexer = Lexer::new(source);
        Ok(Parser {
            lexer,
            keywords,
            depth: 0,
            operators: 0,
            redundant_parentheses: false,
            last_group: None,
        })
    }

    /// What can be said only about an expression that is well-formed.
    fn finish<T>(self, parsed: T) -> Parsed<T> {
        if self.redundant_parentheses {
            return Err("The expression has redundant parentheses;".into());
        }
        if self.operators > OPERATORS_MAX {
            return Err(format!(
                "The expression contains too many operators; operator count: {}",
                self.operators
            ));
        }
        Ok(parsed)
    }

    fn end(&self) -> Parsed<()> {
        if self.lexer.peek().kind == Kind::End {
            Ok(())
        } else {
            Err(self.lexer.syntax_error())
        }
    }

    fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.lexer.symbol(symbol) {
            Ok(())
        } else {
            Err(self.lexer.syntax_error())
        }
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.lexer.symbol(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn disjunction(&mut self) -> Parsed<Node<'a>> {
        let first = self.conjunction()?;
        if !self.lexer.at_keyword("OR") {
            return Ok(first);
        }
        let mut terms = vec![self.condition(first)?];
        while self.lexer.keyword("OR") {
            self.operators += 1;
            let term = self.conjunction()?;
            terms.push(self.condition(term)?);
        }
        Ok(Node::Condition(ConditionSyntax::Or(terms)))
    }

    fn conjunction(&mut self) -> Parsed<Node<'a>> {
        let first = self.negation()?;
        if !self.lexer.at_keyword("AND") {
            return Ok(first);
        }
        let mut terms = vec![self.condition(first)?];
        while self.lexer.keyword("AND") {
            self.operators += 1;
            let term = self.negation()?;
            terms.push(self.condition(term)?);
        }
        Ok(Node::Condition(ConditionSyntax::And(terms)))
    }

    /// A row of NOTs is read in a loop, so that its length costs no stack.
    fn negation(&mut self) -> Parsed<Node<'a>> {
        let mut nots = 0;
        while self.lexer.keyword("NOT") {
            nots += 1;
        }
        self.operators += nots;
        let node = self.comparison()?;
        if nots == 0 {
            return Ok(node);
        }
        let condition = self.condition(node)?;
        let nots = nots.min(OPERATORS_MAX + 1);
        Ok(Node::Condition((0..nots).fold(condition, |inner, _| {
            ConditionSyntax::Not(Box::new(inner))
        })))
    }

    fn comparison(&mut self) -> Parsed<Node<'a>> {
        let left = self.node()?;
        let token = self.lexer.peek();
        let condition = if let Some(comparator) = Comparator::parse(token.text) {
            let left = self.operand_of(left)?;
            self.lexer.next();
            ConditionSyntax::Compare(comparator, left, self.operand()?)
        } else if self.lexer.at_keyword("BETWEEN") {
            let left = self.operand_of(left)?;
            self.lexer.next();
            let low = self.operand()?;
            if !self.lexer.keyword("AND") {
                return Err(self.lexer.syntax_error());
            }
            ConditionSyntax::Between(Box::new([left, low, self.operand()?]))
        } else if self.lexer.at_keyword("IN") {
            let left = self.operand_of(left)?;
            self.lexer.next();
            self.expect("(")?;
            let candidates = self.list(Parser::operand)?;
            self.expect(")")?;
            ConditionSyntax::In(left, candidates)
        } else {
            return Ok(left);
        };
        self.operators += 1;
        Ok(Node::Condition(condition))
    }

    fn operand(&mut self) -> Parsed<OperandSyntax<'a>> {
        let node = self.node()?;
        self.operand_of(node)
    }

    fn operand_of(&self, node: Node<'a>) -> Parsed<OperandSyntax<'a>> {
        match node {
            Node::Operand(operand) => Ok(operand),
            Node::Condition(_) => Err(self.lexer.syntax_error()),
        }
    }

    /// A function alone is a condition; whether it is one that yields a truth value is checked with the names.
    fn condition(&self, node: Node<'a>) -> Parsed<ConditionSyntax<'a>> {
        match node {
            Node::Condition(condition) => Ok(condition),
            Node::Operand(OperandSyntax::Function(function)) => {
                Ok(ConditionSyntax::Function(function))
            }
            Node::Operand(_) => Err(self.lexer.syntax_error()),
        }
    }

    fn node(&mut self) -> Parsed<Node<'a>> {
        let token = self.lexer.peek();
        match token.kind {
            Kind::Value => {
                self.lexer.next();
                Ok(Node::Operand(OperandSyntax::Value(token.text)))
            }
            Kind::Symbol if token.text == "(" => self.parenthesis(),
            _ => self.path_or_function().map(Node::Operand),
        }
    }

    fn parenthesis(&mut self) -> Parsed<Node<'a>> {
        self.enter("The expression has redundant parentheses;")?;
        let open = self.lexer.next().start;
        let first = self.lexer.peek().start;
        let node = self.disjunction()?;
        self.redundant_parentheses |= self.last_group == Some((first, self.lexer.previous_start()));
        self.last_group = Some((open, self.lexer.peek().start));
        self.expect(")")?;
        self.depth -= 1;
        match node {
            Node::Operand(OperandSyntax::Path(path)) => {
                Ok(Node::Operand(OperandSyntax::Path(self.path_tail(path)?)))
            }
            node => Ok(node),
        }
    }

    fn enter(&mut self, too_deep: &str) -> Parsed<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            Err(too_deep.into())
        } else {
            Ok(())
        }
    }

    fn path_or_function(&mut self) -> Parsed<OperandSyntax<'a>> {
        let path = self.path()?;
        match path.elements[..] {
            [Element::Word(name)] if self.lexer.peek().text == "(" => self.function(name),
            _ => Ok(OperandSyntax::Path(path)),
        }
    }

    fn function(&mut self, name: &'a str) -> Parsed<OperandSyntax<'a>> {
        self.enter(&format!("Invalid function name; function: {name}"))?;
        self.expect("(")?;
        let arguments = self.list(Parser::operand)?;
        self.expect(")")?;
        self.depth -= 1;
        Ok(OperandSyntax::Function(FunctionSyntax { name, arguments }))
    }

    fn path(&mut self) -> Parsed<PathSyntax<'a>> {
        let head = self.name()?;
        self.path_tail(PathSyntax {
            elements: vec![head],
        })
    }

    fn path_tail(&mut self, mut path: PathSyntax<'a>) -> Parsed<PathSyntax<'a>> {
        loop {
            if self.lexer.symbol(".") {
                path.elements.push(self.name()?);
            } else if self.lexer.symbol("[") {
                path.elements.push(self.index()?);
                self.expect("]")?;
            } else {
                break;
            }
        }
        if path.elements.len() > PATH_LEVELS_MAX {
            return Err(format!(
                "The document path has too many nesting levels; nesting levels: {}",
                path.elements.len()
            ));
        }
        Ok(path)
    }

    fn name(&mut self) -> Parsed<Element<'a>> {
        let token = self.lexer.peek();
        let element = match token.kind {
            Kind::Name => Element::Name(token.text),
            Kind::Word
                if !self
                    .keywords
                    .iter()
                    .any(|word| token.text.eq_ignore_ascii_case(word)) =>
            {
                Element::Word(token.text)
            }
            _ => return Err(self.lexer.syntax_error()),
        };
        self.lexer.next();
        Ok(element)
    }

    fn index(&mut self) -> Parsed<Element<'a>> {
        let token = self.lexer.peek();
        if token.kind != Kind::Digits {
            return Err(self.lexer.syntax_error());
        }
        let index = token.text.parse::<i32>().map_err(|_| {
            format!(
                "List index is not within the allowable range; index: [{}]",
                token.text
            )
        })?;
        self.lexer.next();
        Ok(Element::Index(index.unsigned_abs()))
    }

    fn update(&mut self) -> Parsed<UpdateSyntax<'a>> {
        let mut update = UpdateSyntax {
            actions: Vec::new(),
            repeated: None,
        };
        let mut seen = Vec::new();
        loop {
            let section = self.section()?;
            if seen.contains(&section) {
                update.repeated.get_or_insert(section);
            }
            seen.push(section);
            update
                .actions
                .extend(self.list(|parser| parser.action(section))?);
            if self.lexer.peek().kind == Kind::End {
                return Ok(update);
            }
        }
    }

    fn section(&mut self) -> Parsed<Section> {
        Section::ALL
            .into_iter()
            .find(|section| self.lexer.keyword(section.keyword()))
            .ok_or_else(|| self.lexer.syntax_error())
    }

    fn action(&mut self, section: Section) -> Parsed<ActionSyntax<'a>> {
        let path = self.path()?;
        Ok(match section {
            Section::Set => {
                self.expect("=")?;
                ActionSyntax::Set(path, self.assigned()?)
            }
            Section::Remove => ActionSyntax::Remove(path),
            Section::Add => ActionSyntax::Add(path, self.value()?),
            Section::Delete => ActionSyntax::Delete(path, self.value()?),
        })
    }

    /// A parenthesis may hold the whole sum or its first operand: `(a + :b)`, `(a) + :b`.
    fn assigned(&mut self) -> Parsed<AssignedSyntax<'a>> {
        let left = if self.lexer.symbol("(") {
            let inner = self.assigned_sum()?;
            self.expect(")")?;
            match inner {
                AssignedSyntax::Operand(operand) => operand,
                sum => return Ok(sum),
            }
        } else {
            self.update_operand()?
        };
        self.sum_of(left)
    }

    fn assigned_sum(&mut self) -> Parsed<AssignedSyntax<'a>> {
        let left = self.update_operand()?;
        self.sum_of(left)
    }

    fn sum_of(&mut self, left: OperandSyntax<'a>) -> Parsed<AssignedSyntax<'a>> {
        if self.lexer.symbol("+") {
            self.operators += 1;
            Ok(AssignedSyntax::Plus(left, self.update_operand()?))
        } else if self.lexer.symbol("-") {
            self.operators += 1;
            Ok(AssignedSyntax::Minus(left, self.update_operand()?))
        } else {
            Ok(AssignedSyntax::Operand(left))
        }
    }

    fn update_operand(&mut self) -> Parsed<OperandSyntax<'a>> {
        let token = self.lexer.peek();
        if self.lexer.symbol("(") {
            let operand = self.update_operand_in_parenthesis()?;
            self.expect(")")?;
            Ok(operand)
        } else if token.kind == Kind::Value {
            self.lexer.next();
            Ok(OperandSyntax::Value(token.text))
        } else {
            self.update_path_or_function()
        }
    }

    fn update_operand_in_parenthesis(&mut self) -> Parsed<OperandSyntax<'a>> {
        if self.lexer.peek().text == "(" {
            Err(self.lexer.syntax_error())
        } else {
            self.update_operand()
        }
    }

    fn update_path_or_function(&mut self) -> Parsed<OperandSyntax<'a>> {
        let path = self.path()?;
        let name = match path.elements[..] {
            [Element::Word(name)] if self.lexer.peek().text == "(" => name,
            _ => return Ok(OperandSyntax::Path(path)),
        };
        self.enter(&format!("Invalid function name; function: {name}"))?;
        self.expect("(")?;
        let arguments = self.list(Parser::update_operand)?;
        self.expect(")")?;
        self.depth -= 1;
        self.operators += 1;
        Ok(OperandSyntax::Function(FunctionSyntax { name, arguments }))
    }

    fn value(&mut self) -> Parsed<&'a str> {
        let token = self.lexer.peek();
        if token.kind != Kind::Value {
            return Err(self.lexer.syntax_error());
        }
        self.lexer.next();
        Ok(token.text)
    }
}
