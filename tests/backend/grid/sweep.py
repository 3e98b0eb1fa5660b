"""A power flow that shares nothing with the engine: backward and forward sweep of a radial grid of lines, by complex numbers."""


def swept(network, load_w, load_var, opened=None):
    """Voltage (per unit, complex) by node and current (A) by line, and losses (W). One source.

    load_w, load_var: by load's index; opened: the lines that are open, None: as in the network.
    """
    (source,) = network.sources
    near = {node.id: [] for node in network.nodes}
    for line in network.lines:
        if (line.from_closed and line.to_closed) if opened is None else f"line:{line.id}" not in opened:
            near[line.from_node].append((line.to_node, line))
            near[line.to_node].append((line.from_node, line))
    order, parent = [source.node], {source.node: None}
    for node in order:
        for other, line in near[node]:
            if other not in parent:
                parent[other] = (node, line)
                order.append(other)
    rated = {node.id: node.u_rated_v for node in network.nodes}
    phase = {node: rated[node] / 3**0.5 + 0j for node in order}
    power = dict.fromkeys(order, 0j)
    for k, load in enumerate(network.loads):
        if load.node in power:
            power[load.node] += complex(load_w[k], load_var[k]) / 3
    top = source.u_ref_ppm / 1e6 * rated[source.node] / 3**0.5
    for _ in range(200):
        current = {node: (power[node] / phase[node]).conjugate() for node in order}
        for node in reversed(order[1:]):
            current[parent[node][0]] += current[node]
        phase[source.node] = top + 0j
        for node in order[1:]:
            above, line = parent[node]
            phase[node] = phase[above] - complex(line.r_uohm, line.x_uohm) / 1e6 * current[node]
    by_line = {parent[node][1].id: abs(current[node]) for node in order[1:]}
    lost = sum(3 * by_line[line.id] ** 2 * line.r_uohm / 1e6 for line in network.lines if line.id in by_line)
    return {node: phase[node] * 3**0.5 / rated[node] for node in order}, by_line, lost
