// A peer in Java, with jeromq; see peer_pyzmq.py.

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.jar.JarFile;
import org.zeromq.ZMQ;

public class Peer {
    static byte[] body(int size) {
        byte[] bytes = new byte[size];
        for (int i = 0; i < size; i++) {
            bytes[i] = (byte) (i + size);
        }
        return bytes;
    }

    static void show(List<byte[]> parts) {
        List<String> sizes = new ArrayList<>();
        for (byte[] part : parts) {
            boolean right = Arrays.equals(part, body(part.length));
            sizes.add(right ? String.valueOf(part.length) : "wrong");
        }
        System.out.println("got " + String.join(",", sizes));
    }

    static void send(ZMQ.Socket socket, List<byte[]> parts) {
        for (int i = 0; i < parts.size(); i++) {
            int flags = i + 1 < parts.size() ? ZMQ.SNDMORE : 0;
            if (!socket.send(parts.get(i), flags)) {
                throw new IllegalStateException("could not send");
            }
        }
    }

    static List<byte[]> recv(ZMQ.Socket socket) {
        List<byte[]> parts = new ArrayList<>();
        do {
            byte[] part = socket.recv(0);
            if (part == null) {
                throw new IllegalStateException("could not receive");
            }
            parts.add(part);
        } while (socket.hasReceiveMore());
        return parts;
    }

    static int kind(String role) {
        switch (role) {
            case "req": return ZMQ.REQ;
            case "rep": return ZMQ.REP;
            case "pub": return ZMQ.PUB;
            case "sub": return ZMQ.SUB;
            case "push": return ZMQ.PUSH;
            default: return ZMQ.PULL;
        }
    }

    static void open(ZMQ.Socket socket, String how, String endpoint) {
        if (how.equals("connect")) {
            socket.connect(endpoint);
        } else if (endpoint.endsWith(":*")) {
            String address = endpoint.substring(0, endpoint.length() - 2);
            int port = socket.bindToRandomPort(address);
            System.out.println("bound " + address + ":" + port);
        } else {
            socket.bind(endpoint);
            System.out.println("bound " + endpoint);
        }
    }

    public static void main(String[] args) throws Exception {
        String role = args[0];
        if (role.equals("version")) {
            String jar = ZMQ.class.getProtectionDomain().getCodeSource().getLocation()
                .getPath();
            try (JarFile file = new JarFile(jar)) {
                String version = file.getManifest().getMainAttributes()
                    .getValue("Bundle-Version");
                System.out.println("jeromq " + version + ", no libzmq");
            }
            return;
        }
        ZMQ.Context context = ZMQ.context(1);
        ZMQ.Socket socket = context.socket(kind(role));
        socket.setReceiveTimeOut(20000);
        socket.setSendTimeOut(20000);
        socket.setLinger(20000);
        if (role.equals("sub")) {
            socket.subscribe(new byte[0]);
        }
        open(socket, args[1], args[2]);
        if (role.equals("pub")) { // until somebody has heard of it
            while (System.in.available() == 0) {
                socket.send("sync".getBytes(), 0);
                Thread.sleep(5);
            }
        }
        boolean ready = false;
        for (String message : Arrays.asList(args).subList(3, args.length)) {
            if (Arrays.asList("req", "pub", "push").contains(role)) {
                List<byte[]> parts = new ArrayList<>();
                for (String size : message.split(",")) {
                    parts.add(body(Integer.parseInt(size)));
                }
                send(socket, parts);
            }
            if (Arrays.asList("req", "rep", "sub", "pull").contains(role)) {
                List<byte[]> parts = recv(socket);
                while (parts.size() == 1 && new String(parts.get(0)).equals("sync")) {
                    if (!ready) {
                        System.out.println("ready");
                    }
                    ready = true;
                    parts = recv(socket);
                }
                show(parts);
                if (role.equals("rep")) {
                    send(socket, parts);
                }
            }
        }
        socket.close();
        context.term();
        System.out.println("done");
    }
}
