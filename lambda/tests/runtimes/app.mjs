// A function that writes each event into the file $SEEN and answers with it.
import { appendFileSync } from "node:fs";

export const handler = async (event) => {
  appendFileSync(process.env.SEEN, JSON.stringify(event) + "\n");
  return event;
};
