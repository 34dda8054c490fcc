const $ = (id) => document.getElementById(id);

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function place(citation) {
  const page = citation.page ? `, page ${citation.page}` : "";
  return `${citation.title || citation.external_id}${page}, version ${citation.version}, characters ${citation.start}–${citation.end}`;
}

let conversation = null;

function thumb(answer, rating, label) {
  const button = element("button", "thumb", label);
  button.type = "button";
  button.setAttribute("aria-label", rating === "up" ? "Good answer" : "Bad answer");
  button.addEventListener("click", async () => {
    const comment = rating === "down" ? window.prompt("What was wrong? (optional)") || null : null;
    try {
      await send(`/api/v1/query/${answer.query_id}/feedback`, { rating, comment });
      for (const other of button.parentNode.querySelectorAll(".thumb")) other.setAttribute("aria-pressed", String(other === button));
    } catch (error) {
      button.title = error.message;
    }
  });
  return button;
}

function show(article, answer) {
  const className = answer.abstained || answer.error ? "answer abstained" : "answer";
  article.append(element("div", className, answer.answer || answer.error?.message));
  const list = element("ul", "cited");
  answer.citations.forEach((citation, index) => {
    const item = element("li");
    item.append(element("blockquote", "", `[${index + 1}] ${citation.quote}`), element("div", "meta", place(citation)));
    list.append(item);
  });
  const confidence = answer.confidence === null ? "unknown" : `${Math.round(answer.confidence * 100)} %`;
  const model = `${answer.model || "no model"}${answer.fallback ? " (fallback)" : ""}`;
  const chosen = answer.routing ? " (chosen)" : "";
  const meta = element("div", "meta", `${answer.persona}${chosen} · ${model} · confidence ${confidence} `);
  if (answer.status === "done") meta.append(thumb(answer, "up", "+"), thumb(answer, "down", "−"));
  article.append(list, meta);
  if (!answer.struck_out?.length) return;
  const struck = element("details", "struck");
  struck.append(element("summary", "", "Struck out: not supported by your documents"), element("s", "", answer.struck_out.join(" ")));
  article.append(struck);
}

const headers = () => ({ "Authorization": `Bearer ${$("key").value.trim()}`, "Content-Type": "application/json" });

async function refusal(response) {
  const body = await response.json().catch(() => ({}));
  return new Error(body.error?.message || `The server answered ${response.status}.`);
}

async function send(path, body) {
  const response = await fetch(path, { method: "POST", headers: headers(), body: JSON.stringify(body) });
  if (!response.ok) throw await refusal(response);
  return response.status === 204 ? null : response.json();
}

// Yield server-sent events; returns when the connection ends, however that came.
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read().catch(() => ({ done: true }));
    if (done) return;
    const frames = (waiting + value).split("\n\n");
    waiting = frames.pop();
    for (const frame of frames) {
      const fields = Object.fromEntries(frame.split("\n").map((line) => [line.split(": ", 1)[0], line.slice(line.indexOf(": ") + 2)]));
      if (fields.data) yield { id: fields.id, name: fields.event, data: JSON.parse(fields.data) };
    }
  }
}

// Ask, tell `onText` the text so far, and return the checked answer; a broken connection is picked up where it broke.
async function converse(body, onText) {
  let response = await fetch("/api/v1/chat", { method: "POST", headers: headers(), body: JSON.stringify(body) });
  if (!response.ok) throw await refusal(response);
  const path = `/api/v1/chat/${response.headers.get("X-Query-Id")}/events`;
  let last = "", text = "";
  for (let attempt = 0; attempt < 10; attempt += 1) {
    for await (const event of response?.ok ? events(response) : []) {
      [last, attempt] = [event.id, 0];
      if (event.name === "answer") return event.data;
      if (event.name === "error") throw new Error(event.data.error.message);
      text = event.name === "text" ? text + event.data.text : "";
      onText(text);
    }
    await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** attempt));
    response = await fetch(path, { headers: last ? { ...headers(), "Last-Event-ID": last } : headers() }).catch(() => null);
  }
  throw new Error("The connection was lost. The question is stored and can be asked again.");
}

async function ask(event) {
  event.preventDefault();
  const button = event.target.querySelector("button");
  const article = element("article");
  const draft = element("div", "answer draft");
  article.append(element("h2", "", $("question").value), draft);
  $("answers").append(article);
  button.disabled = true;
  try {
    conversation ??= (await send("/api/v1/conversations", {})).id;
    const asked = { query: $("question").value, persona: $("persona").value, conversation_id: conversation };
    const answer = await converse(asked, (text) => { draft.textContent = text; });
    draft.remove();
    show(article, answer);
    $("question").value = "";
    $("identity").open = false;
    sessionStorage.setItem("kowai-key", $("key").value.trim());
  } catch (error) {
    article.append(element("div", "error", error.message));
  }
  button.disabled = false;
  article.scrollIntoView({ block: "end", behavior: "smooth" });
}

async function start() {
  $("key").value = sessionStorage.getItem("kowai-key") || "";
  $("identity").open = !$("key").value;
  for (const name of (await (await fetch("/pages/personas")).json())) $("persona").append(new Option(name.replace("_", " "), name));
  $("persona").value = "assistant";
  $("ask").addEventListener("submit", ask);
  $("new").addEventListener("click", () => {
    conversation = null;
    $("answers").replaceChildren();
  });
}

start();
