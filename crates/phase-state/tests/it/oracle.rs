//! The naive model of one request: keeps every token, and works everything out anew on each.
//!
//! Shares with the machine what the rules are, and nothing of how they are followed: markers are
//! compared with the end of the history, and averages are computed from its beginning.

use phase_state::{
    BudgetForceReason, EntropySignal, Format, Injection, PhaseEvent, PhaseKind, PhaseRouterConfig,
    Spans, StartPhase, ThinkPhase,
};

type Fed = (u32, Option<EntropySignal>);

/// What a token did, with the tokens to inject.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    Unchanged,
    EnterThink,
    ExitThink(u32),
    Force(Vec<u32>, BudgetForceReason),
    EnterTool,
    ExitTool(u32),
    Complete,
}

impl Event {
    #[allow(
        unreachable_patterns,
        reason = "the crate itself, whose unit tests share this, knows all events"
    )]
    pub(crate) fn of(event: PhaseEvent, tokens: impl Fn(Injection) -> Vec<u32>) -> Self {
        match event {
            PhaseEvent::Unchanged => Self::Unchanged,
            PhaseEvent::EnterThink => Self::EnterThink,
            PhaseEvent::ExitThink { tokens_used } => Self::ExitThink(tokens_used),
            PhaseEvent::ForceBudget { injection, reason } => Self::Force(tokens(injection), reason),
            PhaseEvent::EnterTool => Self::EnterTool,
            PhaseEvent::ExitTool { tokens_used } => Self::ExitTool(tokens_used),
            PhaseEvent::Complete => Self::Complete,
            other => panic!("an event that the model does not know: {other:?}"),
        }
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NaiveRequest {
    format: Format,
    budget: u32,
    kind: PhaseKind,
    /// All that was fed since the phase was entered.
    history: Vec<Fed>,
    /// The phases before this one, each with its length.
    ended: Vec<(PhaseKind, u32)>,
    /// Whether the end of this span has been forced.
    forced: bool,
    /// Why the last one was, and after how many tokens of the request.
    last_forced: Option<(BudgetForceReason, u32)>,
}

/// What is known of a span when its last token has come.
struct Span {
    mass: f32,
    mass_sq: f32,
    local: f32,
    global: f32,
}

/// What a request came to: tokens of thinking, of tool calls and of neither; thoughts and tool calls.
pub(crate) type Sums = (u32, u32, u32, u16, u16);

impl NaiveRequest {
    /// A request that has seen no token, and what is due.
    pub(crate) fn new(
        config: &PhaseRouterConfig,
        format: &Format,
        start: StartPhase,
        budget: Option<u32>,
    ) -> (Self, Event) {
        let mut request = Self {
            format: format.clone(),
            budget: budget.map_or(config.max_think_tokens, |own| {
                own.min(config.max_think_tokens)
            }),
            kind: PhaseKind::Prefill,
            history: Vec::new(),
            ended: Vec::new(),
            forced: false,
            last_forced: None,
        };
        let mut event = Event::Unchanged;
        if start == StartPhase::ThinkDecode {
            request.kind = PhaseKind::ThinkDecode;
            event = request.due();
        }
        (request, event)
    }

    /// Where it stands.
    pub(crate) fn phase(&self, config: &PhaseRouterConfig) -> ThinkPhase {
        match self.kind {
            PhaseKind::Prefill => ThinkPhase::Prefill,
            PhaseKind::ThinkDecode => {
                let span = self.span(config);
                ThinkPhase::ThinkDecode {
                    tokens_so_far: self.length(),
                    end_mass_ema: span.mass,
                    end_mass_sq_ema: span.mass_sq,
                    rpdi_local: span.local,
                    rpdi_global: span.global,
                    force_in_progress: self.forced,
                }
            }
            PhaseKind::OutputDecode => ThinkPhase::OutputDecode {
                think_tokens_used: self.sum(PhaseKind::ThinkDecode),
            },
            PhaseKind::ToolCall => ThinkPhase::ToolCall {
                tokens_so_far: self.length(),
            },
            _ => ThinkPhase::Complete,
        }
    }

    /// What it has come to.
    pub(crate) fn sums(&self) -> Sums {
        let now = |kind| {
            if self.kind == kind { self.length() } else { 0 }
        };
        let count = |kind| {
            let ended = self.ended.iter().filter(|(of, _)| *of == kind).count();
            u16::try_from(ended + usize::from(self.kind == kind)).unwrap()
        };
        let all = self.ended.iter().map(|(_, length)| length).sum::<u32>() + self.length();
        let think = self.sum(PhaseKind::ThinkDecode) + now(PhaseKind::ThinkDecode);
        let tool = self.sum(PhaseKind::ToolCall) + now(PhaseKind::ToolCall);
        (
            think,
            tool,
            all - think - tool,
            count(PhaseKind::ThinkDecode),
            count(PhaseKind::ToolCall),
        )
    }

    pub(crate) fn last_forced(&self) -> Option<(BudgetForceReason, u32)> {
        self.last_forced
    }

    pub(crate) fn remaining(&self) -> u32 {
        self.budget.saturating_sub(self.sums().0)
    }

    pub(crate) fn set_budget(&mut self, config: &PhaseRouterConfig, budget: u32) -> Event {
        self.budget = budget.min(config.max_think_tokens);
        self.due()
    }

    /// Back to what it was, with the budget of now.
    pub(crate) fn roll_back(&mut self, before: &Self) -> Event {
        let budget = self.budget;
        self.clone_from(before);
        self.budget = budget;
        self.due()
    }

    /// Feeds a token.
    pub(crate) fn feed(
        &mut self,
        config: &PhaseRouterConfig,
        token: u32,
        sample: Option<EntropySignal>,
    ) -> Event {
        if self.kind == PhaseKind::Complete {
            return Event::Unchanged;
        }
        self.history.push((token, sample));
        let may_think = match self.kind {
            PhaseKind::Prefill => true,
            PhaseKind::OutputDecode => match self.format.spans {
                Spans::Any => true,
                Spans::Once => self.sums().3 == 0,
                _ => false,
            },
            _ => false,
        };
        let answers = matches!(self.kind, PhaseKind::Prefill | PhaseKind::OutputDecode);
        let thinks = self.kind == PhaseKind::ThinkDecode;
        let Format {
            think_start,
            think_end,
            tool_start,
            tool_end,
            eos,
            ..
        } = &self.format;
        let looked_for: Vec<(PhaseKind, &[Vec<u32>])> = [
            (may_think, PhaseKind::ThinkDecode, think_start),
            (answers, PhaseKind::ToolCall, tool_start),
            (thinks, PhaseKind::OutputDecode, think_end),
            (
                self.kind == PhaseKind::ToolCall,
                PhaseKind::OutputDecode,
                tool_end,
            ),
            (!thinks, PhaseKind::Complete, eos),
        ]
        .into_iter()
        .filter_map(|(looks, to, markers)| looks.then_some((to, &markers[..])))
        .collect();

        let longest = looked_for
            .iter()
            .map(|(to, markers)| (self.longest(markers), *to))
            .max_by_key(|(length, _)| *length);
        if let Some((1.., to)) = longest {
            return self.enter(to);
        }
        let is_under_way = looked_for
            .iter()
            .any(|(_, markers)| self.under_way(markers).is_some());
        match self.kind {
            PhaseKind::Prefill => {
                let skips = self.format.skipped.contains(&vec![token]);
                if !is_under_way && !skips {
                    // No start of a phase: what was skipped is answer, too.
                    self.kind = PhaseKind::OutputDecode;
                }
                Event::Unchanged
            }
            PhaseKind::ThinkDecode => self.think(config, is_under_way),
            _ => Event::Unchanged,
        }
    }

    fn think(&mut self, config: &PhaseRouterConfig, is_under_way: bool) -> Event {
        let span = self.span(config);
        let variance = f32::max(0.0, span.mass_sq - span.mass * span.mass);
        let judged = usable(self.history.last()).is_some()
            && self.length() > config.min_think_tokens
            && !is_under_way;
        let converged = config
            .converged
            .is_some_and(|rule| variance < rule.max_variance && span.mass >= rule.min_mass);
        let overthinking = config.overthinking.is_some_and(|rule| {
            let fewer = i32::try_from(rule.min_transitions).unwrap() - 1;
            span.global > 0.001
                && span.local / span.global > rule.min_index
                && span.local > 1.0 - (1.0 - config.ema_alpha).powi(fewer)
        });
        if judged && converged {
            self.force(BudgetForceReason::Converged)
        } else if judged && overthinking {
            self.force(BudgetForceReason::Overthinking)
        } else {
            self.due()
        }
    }

    fn due(&mut self) -> Event {
        let used = self.sums().0;
        if self.kind != PhaseKind::ThinkDecode || used < self.budget {
            return Event::Unchanged;
        }
        let ends = &self.format.think_end;
        let longest = ends.iter().map(Vec::len).max().unwrap_or(0);
        let over = usize::try_from(used - self.budget).unwrap();
        if self.under_way(ends).is_some() && over < longest {
            return Event::Unchanged;
        }
        self.force(BudgetForceReason::HardCap)
    }

    fn force(&mut self, reason: BudgetForceReason) -> Event {
        let ends = &self.format.think_end;
        if self.forced || ends.is_empty() {
            return Event::Unchanged;
        }
        let left = match self.under_way(ends) {
            // The first of those that have come so far.
            Some(part) => {
                let come = &self.tail(part);
                let end = ends.iter().find(|end| end.starts_with(come)).unwrap();
                end[part..].to_vec()
            }
            None => ends[0].clone(),
        };
        self.forced = true;
        let (think, tool, output, ..) = self.sums();
        self.last_forced = Some((reason, think + tool + output));
        Event::Force(left, reason)
    }

    fn span(&self, config: &PhaseRouterConfig) -> Span {
        let a = config.ema_alpha;
        let mut span = Span {
            mass: 0.5,
            mass_sq: 0.25,
            local: 0.0,
            global: 0.0,
        };
        for (before, fed) in self.history.iter().enumerate() {
            let Some(EntropySignal {
                token_entropy,
                end_mass,
            }) = usable(Some(fed))
            else {
                continue;
            };
            let transition = if token_entropy > config.transition_entropy_threshold {
                1.0
            } else {
                0.0
            };
            span.mass = a * end_mass + (1.0 - a) * span.mass;
            span.mass_sq = a * (end_mass * end_mass) + (1.0 - a) * span.mass_sq;
            span.local = a * transition + (1.0 - a) * span.local;
            span.global += (transition - span.global) / (before + 1) as f32;
        }
        span
    }

    /// No marker reaches back over the beginning of a phase.
    fn enter(&mut self, to: PhaseKind) -> Event {
        let (from, length) = (self.kind, self.length());
        self.ended.push((from, length));
        self.kind = to;
        self.history.clear();
        self.forced = false;
        match (from, to) {
            (_, PhaseKind::ThinkDecode) => match self.due() {
                Event::Unchanged => Event::EnterThink,
                due => due,
            },
            (_, PhaseKind::ToolCall) => Event::EnterTool,
            (_, PhaseKind::Complete) => Event::Complete,
            (PhaseKind::ToolCall, _) => Event::ExitTool(length),
            _ => Event::ExitThink(length),
        }
    }

    fn length(&self) -> u32 {
        u32::try_from(self.history.len()).unwrap()
    }

    fn sum(&self, kind: PhaseKind) -> u32 {
        let of_it = self.ended.iter().filter(|(of, _)| *of == kind);
        of_it.map(|(_, length)| length).sum()
    }

    fn tail(&self, length: usize) -> Vec<u32> {
        let tokens = self.history.iter().map(|(token, _)| *token);
        tokens.skip(self.history.len() - length).collect()
    }

    fn ends_with(&self, tokens: &[u32]) -> bool {
        tokens.len() <= self.history.len() && self.tail(tokens.len()) == tokens
    }

    /// The length of the longest of `markers` that ends here; 0 for none.
    fn longest(&self, markers: &[Vec<u32>]) -> usize {
        let ending = markers.iter().filter(|marker| self.ends_with(marker));
        ending.map(Vec::len).max().unwrap_or(0)
    }

    /// How much has come of the one of `markers` of which the most has, if any may yet be completed.
    fn under_way(&self, markers: &[Vec<u32>]) -> Option<usize> {
        let parts = markers
            .iter()
            .flat_map(|marker| (1..marker.len()).filter(|part| self.ends_with(&marker[..*part])));
        parts.max()
    }
}

fn usable(fed: Option<&Fed>) -> Option<EntropySignal> {
    let sample = fed?.1?;
    let computable = sample.token_entropy.abs() < f32::INFINITY
        && sample.end_mass * sample.end_mass < f32::INFINITY;
    computable.then_some(sample)
}
