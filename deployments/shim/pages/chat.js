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
  article.append(list, element("div", "meta", `${answer.persona} · ${answer.model || "no model"} · confidence ${confidence}`));
}

async function request(path, body) {
  const headers = { "Authorization": `Bearer ${$("key").value.trim()}`, "Content-Type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  const reply = await response.json();
  if (!response.ok) throw new Error(reply.error.message);
  return reply;
}

async function ask(event) {
  event.preventDefault();
  const button = event.target.querySelector("button");
  const article = element("article");
  article.append(element("h2", "", $("question").value));
  $("answers").append(article);
  button.disabled = true;
  try {
    show(article, await request("/api/v1/query", { query: $("question").value, persona: $("persona").value }));
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
}

start();
