//! The markers of published families of models.
//!
//! Texts, since ids are a tokenizer's: [`Format::from_tokens`] makes the one of the other. Where each is from stands with it. None was
//! tried against a tokenizer's file here; the ids in the tests are those that the named sources give.

use crate::{Format, Spans};

/// What models put before a start marker, or between a thought and what follows. Of these only those that are one token of
/// the tokenizer are kept.
const WHITESPACE: [&str; 4] = ["\n", "\n\n", " ", "\t"];

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|&text| text.to_owned()).collect()
}

/// A family that thinks between `<think>` and `</think>`.
fn think(name: &str, tools: [&str; 2], eos: &[&str]) -> Format<String> {
    let [tool_start, tool_end] = tools;
    Format {
        name: name.to_owned(),
        think_start: texts(&["<think>"]),
        think_end: texts(&["</think>"]),
        tool_start: texts(&[tool_start]),
        tool_end: texts(&[tool_end]),
        eos: texts(eos),
        skipped: texts(&WHITESPACE),
        spans: Spans::First,
    }
}

impl Format<String> {
    /// DeepSeek-R1, and V3 since 3.1 where thinking is on. Their templates open the thought in the prompt: register in
    /// [`StartPhase::ThinkDecode`](crate::StartPhase::ThinkDecode). R1-0528 may write the start marker itself.
    ///
    /// Source: SGLang's table of reasoning parsers for the tags (`docs/advanced_features/separate_reasoning.md`); llama.cpp's and
    /// vLLM's parsers of DeepSeek's tool calls.
    pub fn deepseek_r1() -> Self {
        think(
            "deepseek_r1",
            ["<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"],
            &["<｜end▁of▁sentence｜>"],
        )
    }

    /// Qwen3. The models of 2507 that think have the thought opened in the prompt: register in
    /// [`StartPhase::ThinkDecode`](crate::StartPhase::ThinkDecode); those of before write the start marker themselves.
    ///
    /// Source: the special tokens of Qwen3 as torchtune lists them (151667 and 151668 for the tags, `qwen3/_tokenizer.py`), and
    /// Qwen's own documentation of its control tokens.
    pub fn qwen3() -> Self {
        think(
            "qwen3",
            ["<tool_call>", "</tool_call>"],
            &["<|im_end|>", "<|endoftext|>"],
        )
    }

    /// Kimi K2 Thinking. It may begin a tool call without having ended its thought, which vLLM takes for the end of it; here the
    /// call is thought then, until `</think>`.
    ///
    /// Source: vLLM's `kimi_k2_reasoning_parser.py` for the tags, llama.cpp's parser of Kimi K2 for the calls. SGLang's table has
    /// `◁think▷` for K2 as well, which is what Kimi's earlier models write: [`kimi`](Self::kimi). The end of sequence,
    /// `<|im_end|>`, could not be verified.
    pub fn kimi_k2() -> Self {
        think(
            "kimi_k2",
            ["<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"],
            &["<|im_end|>"],
        )
    }

    /// Kimi before K2 (Kimi-VL-Thinking).
    ///
    /// Source: vLLM's `KimiReasoningParser`, and SGLang's table. The end of sequence, `<|im_end|>`, could not be verified.
    pub fn kimi() -> Self {
        Self {
            name: "kimi".to_owned(),
            think_start: texts(&["◁think▷"]),
            think_end: texts(&["◁/think▷"]),
            eos: texts(&["<|im_end|>"]),
            skipped: texts(&WHITESPACE),
            ..Self::default()
        }
    }

    /// gpt-oss, which writes OpenAI's harmony format: a message of the channel `analysis` is a thought, any number of times.
    /// What is around messages (`<|start|>assistant`) and the channel `final` are output.
    ///
    /// A call is a message of the channel `commentary` that ends with `<|call|>`. Its head names the function, so that it cannot
    /// be told by a marker that is the same each time: a call is output, and `<|call|>` completes the request.
    ///
    /// Source: OpenAI's `openai-harmony.md`; the ids 200002, 200005, 200007, 200008 and 200012 of `o200k_harmony`.
    pub fn gpt_oss() -> Self {
        Self {
            name: "gpt_oss".to_owned(),
            think_start: texts(&["<|channel|>analysis<|message|>"]),
            think_end: texts(&["<|end|>"]),
            eos: texts(&["<|return|>", "<|call|>"]),
            spans: Spans::Any,
            ..Self::default()
        }
    }
}
