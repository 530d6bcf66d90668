/** Values of the page's address; a token is taken out of it, so that it is not copied along with the link. */
export function taken(names: string[]): Record<string, string> {
  const query = new URLSearchParams(location.search);
  const found: Record<string, string> = {};
  for (const name of names) {
    const value = query.get(name);
    if (value) found[name] = value;
  }
  if (query.has("token")) {
    query.delete("token");
    history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}${location.hash}`);
  }
  return found;
}
