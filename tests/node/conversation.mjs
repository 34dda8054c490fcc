// Hold a conversation of two turns with KowAI through the Vercel AI SDK, whole and streamed, and print what was said.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embed, generateText, streamText } from "ai";

const [baseURL, apiKey] = process.argv.slice(2);
const kowai = createOpenAICompatible({ name: "kowai", baseURL, apiKey, includeUsage: true });
const model = kowai("assistant");
const turns = ["How long is green tea steeped?", "And how long is black tea steeped?"];

async function whole() {
  const messages = [], said = [];
  for (const content of turns) {
    messages.push({ role: "user", content });
    const reply = await generateText({ model, messages, maxRetries: 0 });
    said.push({ text: reply.text, citations: reply.response.body.choices[0].message.citations });
    messages.push({ role: "assistant", content: reply.text });
  }
  return said;
}

async function streamed() {
  const messages = [], said = [];
  for (const content of turns) {
    messages.push({ role: "user", content });
    const pieces = [], citations = [];
    const reply = streamText({ model, messages, maxRetries: 0, includeRawChunks: true, onError: ({ error }) => { throw error; } });
    for await (const part of reply.fullStream) {
      if (part.type === "text-delta") pieces.push(part.text);
      if (part.type === "raw") citations.push(...(part.rawValue.choices?.[0]?.delta.citations ?? []));
    }
    said.push({ text: pieces.join(""), pieces: pieces.length, citations, reason: await reply.finishReason });
    messages.push({ role: "assistant", content: pieces.join("") });
  }
  return said;
}

const { embedding } = await embed({ model: kowai.textEmbeddingModel("kowai"), value: turns[0] });
const failure = await generateText({ model: kowai("nobody"), prompt: "Who?", maxRetries: 0 }).catch((error) => error);
const refused = { status: failure.statusCode, message: failure.message };
console.log(JSON.stringify({ whole: await whole(), streamed: await streamed(), dimensions: embedding.length, refused }));
