// A peer in C++, with cppzmq; see peer_pyzmq.py.

#include <cstdlib>
#include <iostream>
#include <map>
#include <poll.h>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>
#include <zmq.hpp>
#include <zmq_addon.hpp>

using Parts = std::vector<zmq::message_t>;

static std::string body(size_t size)
{
    std::string bytes(size, '\0');
    for (size_t i = 0; i < size; i++)
        bytes[i] = static_cast<char>(i + size);
    return bytes;
}

static void show(const Parts &parts)
{
    const char *comma = "got ";
    for (const auto &part : parts) {
        std::cout << comma;
        if (part.to_string() == body(part.size()))
            std::cout << part.size();
        else
            std::cout << "wrong";
        comma = ",";
    }
    std::cout << std::endl;
}

static void send(zmq::socket_t &socket, Parts &parts)
{
    if (!zmq::send_multipart(socket, parts))
        throw std::runtime_error("could not send");
}

static Parts recv(zmq::socket_t &socket)
{
    Parts parts;
    if (!zmq::recv_multipart(socket, std::back_inserter(parts)))
        throw std::runtime_error("could not receive");
    return parts;
}

static void open(zmq::socket_t &socket, const std::string &how,
                 const std::string &endpoint)
{
    if (endpoint.find('[') != std::string::npos)
        socket.set(zmq::sockopt::ipv6, true);
    if (endpoint.rfind("epgm", 0) == 0)
        socket.set(zmq::sockopt::rate, 100000);
    const char *server = std::getenv("CURVE_SERVER_KEY");
    const char *secret = std::getenv("CURVE_SECRET_KEY");
    if (server) {
        socket.set(zmq::sockopt::curve_serverkey, server);
        socket.set(zmq::sockopt::curve_publickey, std::getenv("CURVE_PUBLIC_KEY"));
    } else if (secret)
        socket.set(zmq::sockopt::curve_server, true);
    if (secret)
        socket.set(zmq::sockopt::curve_secretkey, secret);
    if (how == "bind") {
        socket.bind(endpoint);
        std::cout << "bound " << socket.get(zmq::sockopt::last_endpoint) << std::endl;
    } else
        socket.connect(endpoint);
}

static int run(const std::vector<std::string> &args)
{
    const std::string role = args.at(0);
    if (role == "version") {
        const auto libzmq = zmq::version();
        std::cout << "cppzmq " << CPPZMQ_VERSION_MAJOR << '.' << CPPZMQ_VERSION_MINOR
                  << '.' << CPPZMQ_VERSION_PATCH << ", libzmq " << std::get<0>(libzmq)
                  << '.' << std::get<1>(libzmq) << '.' << std::get<2>(libzmq) << '\n';
        return 0;
    }
    const std::map<std::string, zmq::socket_type> kinds = {
        {"req", zmq::socket_type::req},   {"rep", zmq::socket_type::rep},
        {"pub", zmq::socket_type::pub},   {"sub", zmq::socket_type::sub},
        {"push", zmq::socket_type::push}, {"pull", zmq::socket_type::pull}};
    zmq::context_t context;
    zmq::socket_t socket(context, kinds.at(role));
    socket.set(zmq::sockopt::rcvtimeo, 20000);
    socket.set(zmq::sockopt::sndtimeo, 20000);
    socket.set(zmq::sockopt::linger, 20000);
    if (role == "sub")
        socket.set(zmq::sockopt::subscribe, "");
    open(socket, args.at(1), args.at(2));
    if (role == "pub") { // until somebody has heard of it
        pollfd told = {0, POLLIN, 0};
        while (poll(&told, 1, 5) == 0)
            socket.send(zmq::str_buffer("sync"));
    }
    bool ready = false;
    for (size_t i = 3; i < args.size(); i++) {
        if (role == "req" || role == "pub" || role == "push") {
            Parts parts;
            std::istringstream sizes(args[i]);
            for (std::string size; std::getline(sizes, size, ',');)
                parts.emplace_back(body(std::stoul(size)));
            send(socket, parts);
        }
        if (role == "req" || role == "rep" || role == "sub" || role == "pull") {
            Parts parts = recv(socket);
            while (parts.size() == 1 && parts[0].to_string_view() == "sync") {
                if (!ready)
                    std::cout << "ready" << std::endl;
                ready = true;
                parts = recv(socket);
            }
            show(parts);
            if (role == "rep")
                send(socket, parts);
        }
    }
    socket.close();
    context.close();
    std::cout << "done" << std::endl;
    return 0;
}

int main(int argc, char *argv[])
{
    try {
        return run({argv + 1, argv + argc});
    } catch (const std::exception &error) {
        std::cerr << error.what() << std::endl;
        return 1;
    }
}
