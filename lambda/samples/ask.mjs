// A function that asks the extension beside it, by itself, whether somebody may do something.
// {"who": "ann", "action": "read", "what": "report"} is answered {"allowed": true}.

const URL = `http://${process.env.AECP_LISTEN ?? "127.0.0.1:8180"}/access/v1/evaluation`;

// Whether the policies allow it; not, if nobody can say so.
async function isAllowed(who, action, what) {
  const question = {
    subject: { type: "user", id: who },
    action: { name: action },
    resource: { type: "document", id: what },
  };
  try {
    const answer = await fetch(URL, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(question),
      signal: AbortSignal.timeout(1000),
    });
    return (await answer.json()).decision === true;
  } catch {
    return false;
  }
}

export const handler = async (event) => ({ allowed: await isAllowed(event.who, event.action, event.what) });
