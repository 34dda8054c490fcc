// Exchange a key for a cookie that no script can read.
const form = document.querySelector("form");
const told = document.querySelector("[role=alert]");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const headers = { Authorization: `Bearer ${form.elements.key.value.trim()}` };
  try {
    const reply = await fetch("/prefect/login", { method: "POST", headers });
    if (reply.ok) return location.assign("/prefect/dashboard");
    told.textContent = (await reply.json()).error.message;
  } catch {
    told.textContent = "KowAI cannot be reached.";
  }
});
